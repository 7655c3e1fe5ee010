/** Baseline: Socket.IO with one INSERT a message, acknowledged and emitted once it is in. */
import { serveSocketIo } from './socketio-server.js';
import { openStorage } from './storage.js';

const storage = await openStorage(process.env.DATA_DIR ?? '.');
await serveSocketIo({ storage, options: {}, stop: () => storage.close() });
