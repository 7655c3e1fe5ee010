import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, inject } from 'vitest';
import { grantSigner } from '../../src/attachments/local-links.js';
import { localStorage } from '../../src/attachments/local-storage.js';
import { freshName } from '../helpers/rest-client.js';
import { JWT_SECRET, type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { storageContract } from './storage-contract.js';

/** Its links are answered by the server over the same directory. */
let server: Server;
const dataDir = join(inject('runDirectory'), freshName('local-storage'));
const root = join(dataDir, 'attachments');

beforeAll(async () => {
  await mkdir(dataDir);
  server = await startServerWithDatabase({ DATA_DIR: dataDir });
});

storageContract(
  'local disk',
  async () => {
    await rm(root, { recursive: true, force: true });
    return {
      storage: localStorage(root, grantSigner(JWT_SECRET), null),
      base: server.url,
      left: async () => {
        const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
        return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
      },
      breakDown: async () => {
        await rm(root, { recursive: true });
        await writeFile(root, 'a file in place of the directory');
      },
      close: () => rm(root, { recursive: true, force: true }),
    };
  },
  { checksSignatures: true },
);
