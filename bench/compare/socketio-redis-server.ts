/**
 * Baseline: Socket.IO with @socket.io/redis-streams-adapter and connection state recovery. A message is remembered by Redis' stream
 * (in memory, the newest 10,000 packets of all rooms) for the two minutes in which a client may recover; the acknowledgement doesn't wait for it.
 */
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { startRedis } from './redis-process.js';
import { serveSocketIo } from './socketio-server.js';
import { NO_STORAGE } from './storage.js';

/** Socket.IO's documented default. */
const RECOVERY_MS = 120_000;

const redis = await startRedis(process.env.DATA_DIR ?? '.');
await serveSocketIo({
  storage: NO_STORAGE,
  options: {
    adapter: createAdapter(redis.client),
    connectionStateRecovery: { maxDisconnectionDuration: RECOVERY_MS },
  },
  stop: () => redis.stop(),
});
