import { createMemoryHub, memoryBus } from '../../src/bus/memory-bus.js';
import { busContract } from './bus-contract.js';

busContract('the memory bus', async () => {
  const hub = createMemoryHub();
  return { connect: async (nodeId) => memoryBus(hub, nodeId), close: async () => undefined };
});
