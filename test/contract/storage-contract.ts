import { randomBytes, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type DirectPut,
  type LinkSigner,
  ObjectMissing,
  type ObjectStorage,
  PartsMissing,
  StorageUnavailable,
} from '../../src/attachments/storage-port.js';
import { until } from '../helpers/deadline.js';

/** A storage with nothing in it. */
export interface StorageWorld {
  readonly storage: ObjectStorage & LinkSigner;
  /** What its links are relative to. */
  readonly base: string;
  /** Everything there is, drafts and parts of unfinished uploads included. */
  readonly left: () => Promise<string[]>;
  /** Makes it unusable. */
  readonly breakDown: () => Promise<void>;
  readonly close: () => Promise<void>;
}

const MiB = 1_024 * 1_024;
const LIFE_MS = 60_000;
const BIG = 12 * MiB + 345; // several parts
const AWAY_MS = 10_000;

/** What every storage promises (src/attachments/storage-port.ts). */
export function storageContract(
  name: string,
  open: () => Promise<StorageWorld>,
  { checksSignatures }: { readonly checksSignatures: boolean },
): void {
  describe(`${name} as a storage of attachments`, { timeout: 60_000 }, () => {
    let world: StorageWorld;
    let storage: StorageWorld['storage'];
    let key: string;

    beforeEach(async () => {
      world = await open();
      storage = world.storage;
      key = `ab/${randomUUID()}`;
    });
    afterEach(async () => {
      storage.close();
      await world.close();
    });

    const put = (bytes: Uint8Array) => storage.put(key, chunked(bytes), 'image/png');
    const sent = (request: DirectPut, body: Uint8Array) =>
      fetch(new URL(request.url, world.base), { method: 'PUT', headers: request.headers, body });

    test.each([1, 1_000, BIG])('what is put is what one gets (%i bytes)', async (size) => {
      const bytes = randomBytes(size);
      expect(await put(bytes)).toBe(size);
      expect(await storage.head(key)).toEqual({ size });
      expect(Buffer.compare(await whole(await storage.get(key)), bytes)).toBe(0);
    });

    test('a range is those bytes, both ends included', async () => {
      const bytes = randomBytes(300_000);
      await put(bytes);
      const range = await whole(await storage.get(key, { start: 1_000, end: 200_000 }));
      expect(Buffer.compare(range, bytes.subarray(1_000, 200_001))).toBe(0);
    });

    test('nothing is under a key where nothing was put', async () => {
      expect(await storage.head(key)).toBeNull();
      await expect(storage.get(key)).rejects.toThrow(ObjectMissing);
      await expect(storage.move(key, `${key}.2`)).rejects.toThrow(ObjectMissing);
      await storage.remove(key);
    });

    test.each([1_000, 11 * MiB])(
      'a stream that fails after %i bytes leaves nothing, and its error is told',
      async (size) => {
        const failure = new Error('the client went away');
        await expect(storage.put(key, failing(size, failure), 'image/png')).rejects.toBe(failure);
        await until(async () => (await world.left()).length === 0, 'nothing left');
      },
    );

    test('an upload under way can be removed, drafts and parts included', async () => {
      let stop = (): void => undefined;
      const stopped = new Promise<void>((resolve) => {
        stop = resolve;
      });
      const pending = storage.put(key, stalling(11 * MiB, stopped), 'image/png').catch(() => undefined);
      await until(async () => (await world.left()).length > 0, 'something written');
      await until(async () => {
        await storage.remove(key); // a part may be on its way
        return (await world.left()).length === 0;
      }, 'nothing left');
      stop();
      await pending;
      await storage.remove(key);
    });

    test('removing is final and may be repeated', async () => {
      await put(randomBytes(10));
      await storage.remove(key);
      await storage.remove(key);
      expect(await storage.head(key)).toBeNull();
      expect(await world.left()).toEqual([]);
    });

    test('a moved object is where it was moved, and moving it again changes nothing', async () => {
      const bytes = randomBytes(5_000);
      await put(bytes);
      await storage.move(key, `${key}.2`);
      await storage.move(key, `${key}.2`);
      expect(await storage.head(key)).toBeNull();
      expect(Buffer.compare(await whole(await storage.get(`${key}.2`)), bytes)).toBe(0);
    });

    test('what is where an object is moved to stays, and the other goes', async () => {
      const bytes = randomBytes(5_000);
      await put(bytes);
      await storage.move(key, `${key}.2`);
      await put(randomBytes(5_000));
      await storage.move(key, `${key}.2`);
      expect(await storage.head(key)).toBeNull();
      expect(Buffer.compare(await whole(await storage.get(`${key}.2`)), bytes)).toBe(0);
    });

    test('a client stores an object by a presigned PUT, of exactly the size that was agreed on', async () => {
      const bytes = randomBytes(70_000);
      const request = await storage.presignPut(key, bytes.length, 'image/png', LIFE_MS);
      if (checksSignatures) {
        const tooMuch = await sent(request, Buffer.concat([bytes, bytes]));
        expect(tooMuch.status).toBeGreaterThanOrEqual(400);
        expect(await storage.head(key)).toBeNull();
      }
      expect((await sent(request, bytes)).status).toBe(200);
      expect(Buffer.compare(await whole(await storage.get(key)), bytes)).toBe(0);
    });

    test('a client stores an object in parts; it is there once they are joined, which may be repeated', async () => {
      const bytes = randomBytes(20 * MiB);
      const { upload_id, parts } = await storage.presignParts(key, bytes.length, 'image/png', LIFE_MS);
      expect(parts.length).toBeGreaterThan(1);
      const { length } = bytes;
      await expect(storage.completeParts(key, upload_id, length)).rejects.toThrow(ObjectMissing);
      let at = 0;
      for (const part of parts) {
        if (at > 0) await expect(storage.completeParts(key, upload_id, length)).rejects.toThrow(PartsMissing);
        expect((await sent(part, bytes.subarray(at, at + part.size))).status).toBe(200);
        at += part.size;
      }
      expect(await storage.head(key)).toBeNull();
      await storage.completeParts(key, upload_id, length);
      await storage.completeParts(key, upload_id, length);
      expect(Buffer.compare(await whole(await storage.get(key)), bytes)).toBe(0);
    });

    test('parts that are never joined go with the object', async () => {
      const { parts } = await storage.presignParts(key, 20 * MiB, 'image/png', LIFE_MS);
      const [first] = parts;
      if (first === undefined) throw new Error('no parts');
      expect((await sent(first, randomBytes(first.size))).status).toBe(200);
      await storage.remove(key);
      expect(await world.left()).toEqual([]);
    });

    test('all there is is listed with its time: objects, and what unfinished uploads have left under its key', async () => {
      await put(randomBytes(100));
      await storage.put(`${key}.thumb`, chunked(randomBytes(10)), 'image/webp');
      const other = `cd/${randomUUID()}`;
      const { parts } = await storage.presignParts(other, 20 * MiB, 'image/png', LIFE_MS);
      const [first] = parts;
      if (first === undefined) throw new Error('no parts');
      expect((await sent(first, randomBytes(first.size))).status).toBe(200);
      const listed = new Set<string>();
      for await (const each of storage.list()) {
        listed.add(each.key);
        expect(Math.abs(Date.now() - each.changed_at.getTime())).toBeLessThan(60_000);
      }
      expect([...listed].sort()).toEqual([key, `${key}.thumb`, other].sort());
      await storage.remove(other);
      await storage.remove(key);
      await storage.remove(`${key}.thumb`);
      for await (const each of storage.list()) expect(each).toBeNull(); // nothing
    });

    test('a link gives the object with its type and name, to anybody, until it expires', async () => {
      const bytes = randomBytes(1_000);
      await put(bytes);
      const disposition = `attachment; filename="a b.png"; filename*=UTF-8''%C3%A4%20b.png`;
      const link = storage.link(key, { type: 'image/png', disposition, lifeMs: LIFE_MS });
      const answer = await fetch(new URL(link, world.base));
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('image/png');
      expect(answer.headers.get('content-disposition')).toBe(disposition);
      expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), bytes)).toBe(0);
      const part = await fetch(new URL(link, world.base), { headers: { range: 'bytes=10-19' } });
      expect(part.status).toBe(206);
      expect(Buffer.compare(Buffer.from(await part.arrayBuffer()), bytes.subarray(10, 20))).toBe(0);
      const brief = storage.link(key, { type: 'image/png', disposition, lifeMs: 1_000 });
      await until(async () => (await fetch(new URL(brief, world.base))).status === 403, 'an expired link');
    });

    if (checksSignatures)
      test('a link or a presigned PUT that was tampered with is refused', async () => {
        await put(randomBytes(100));
        const link = storage.link(key, { type: 'image/png', disposition: 'inline', lifeMs: LIFE_MS });
        expect((await fetch(new URL(tampered(link), world.base))).status).toBe(403);
        const request = await storage.presignPut(`${key}.2`, 3, 'image/png', LIFE_MS);
        const answer = await sent({ ...request, url: tampered(request.url) }, Buffer.from('abc'));
        expect(answer.status).toBe(403);
        expect(await storage.head(`${key}.2`)).toBeNull();
      });

    test('storage that is away says so within ten seconds, whatever is asked of it', async () => {
      await put(randomBytes(100));
      await world.breakDown();
      const began = performance.now();
      const asked: Promise<unknown>[] = [
        storage.check(),
        put(randomBytes(100)),
        storage.put(`${key}.2`, chunked(randomBytes(7 * MiB)), 'image/png'),
        storage.list()[Symbol.asyncIterator]().next(),
      ];
      for (const outcome of await Promise.allSettled(asked)) {
        expect(outcome).toMatchObject({ status: 'rejected' });
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(StorageUnavailable);
      }
      expect(performance.now() - began).toBeLessThan(AWAY_MS);
    });
  });
}

/** Changes one character in the middle of what is signed. */
function tampered(url: string): string {
  const at = url.includes('X-Amz-Signature=')
    ? url.indexOf('X-Amz-Signature=') + 20
    : url.lastIndexOf('/') + 12;
  return `${url.slice(0, at)}${url[at] === 'a' ? 'b' : 'a'}${url.slice(at + 1)}`;
}

async function* chunked(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

async function* failing(size: number, failure: Error): AsyncIterable<Uint8Array> {
  yield* chunked(randomBytes(size));
  throw failure;
}

async function* stalling(size: number, stopped: Promise<void>): AsyncIterable<Uint8Array> {
  yield* chunked(randomBytes(size));
  await stopped;
  throw new Error('stopped');
}

export async function whole(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}
