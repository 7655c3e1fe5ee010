import { spawnSync } from 'node:child_process';

const PYTHONS = ['python3', '/usr/bin/python3']; // the second is the system's, which has Debian's modules

/** A Python that has the module `websockets` (Debian: python3-websockets), or null. */
export const pythonWithWebsockets =
  PYTHONS.find((python) => spawnSync(python, ['-c', 'import websockets']).status === 0) ?? null;
