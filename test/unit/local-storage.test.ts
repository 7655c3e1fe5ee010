import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { grantSigner } from '../../src/attachments/local-links.js';
import { localStorage } from '../../src/attachments/local-storage.js';
import { ObjectMissing } from '../../src/attachments/storage-port.js';

vi.mock('node:fs/promises', async (original) => ({
  ...(await original<typeof import('node:fs/promises')>()),
  link: () => Promise.reject(Object.assign(new Error('operation not permitted'), { code: 'EPERM' })),
}));

async function* of(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text);
}

test('where a disk has no hard links, an object is moved all the same, and never over another', async () => {
  const root = await mkdtemp(join(tmpdir(), 'parley-no-links-'));
  const storage = localStorage(root, grantSigner('a secret of the tests'), null);
  await expect(storage.move('ab/1', 'ab/2')).rejects.toThrow(ObjectMissing);
  for (const text of ['first', 'second']) {
    await storage.put('ab/1', of(text), '');
    await storage.move('ab/1', 'ab/2');
    expect(await storage.head('ab/1')).toBeNull();
  }
  expect(await storage.head('ab/2')).toEqual({ size: 'first'.length });
  await rm(root, { recursive: true });
});
