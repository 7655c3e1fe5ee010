import { localBus } from '../../src/bus/local-bus.js';
import { startHub } from '../../src/bus/local-hub.js';
import { busContract } from './bus-contract.js';

busContract('the bus between processes', async () => {
  const hub = await startHub();
  return { connect: async (nodeId) => localBus(hub.path, nodeId), close: async () => hub.close() };
});
