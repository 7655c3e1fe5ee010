import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import {
  access,
  type FileHandle,
  link,
  mkdir,
  open,
  opendir,
  readdir,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { GrantSigner } from './local-links.js';
import {
  type ByteRange,
  type DirectPut,
  type LinkSigner,
  ObjectMissing,
  type ObjectStorage,
  PartsMissing,
  StorageUnavailable,
  type StoredKey,
} from './storage-port.js';

/** Part of a direct upload: eight requests for the default largest attachment, each quickly repeated. */
const PART_BYTES = 16 * 1_024 * 1_024;
/** One read of a file. */
export const READ_BYTES = 64 * 1_024;

/** What file systems without hard links answer (FAT, some network shares). */
const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** Gives the memory that the next piece of a file is read into. */
export type NextPiece = () => Uint8Array | Promise<Uint8Array>;

/** Where local storage answers its links, under the server's own address. */
export const LINK_PATH = '/api/v1/files/';

export interface LocalStorage extends ObjectStorage, LinkSigner {
  /**
   * Like {@link ObjectStorage.get}, but each piece lies in the memory that `into` gives for it, which is asked for only
   * where there is more to read.
   */
  read(key: string, range: ByteRange | undefined, into: NextPiece): Promise<AsyncIterable<Uint8Array>>;
  /** Stores a part of a direct upload, like {@link ObjectStorage.put}. */
  putPart(key: string, upload_id: string, part: number, bytes: AsyncIterable<Uint8Array>): Promise<number>;
}

/**
 * Attachments as files under `root`: `objects/<key>`, and in `drafts` what is being written, named after its key, so
 * that `remove` finds what a crash left. A file appears whole, by rename, and is on disk when `put` resolves.
 *
 * @param publicUrl what links start with; null: they are paths, which answers make absolute
 */
export function localStorage(root: string, signer: GrantSigner, publicUrl: string | null): LocalStorage {
  const pathOf = (key: string): string => join(root, 'objects', key);
  const drafts = join(root, 'drafts');
  const draftOf = (key: string): string => join(drafts, `${flat(key)}~${randomBytes(6).toString('hex')}`);
  const partsOf = (key: string, upload_id: string): string => join(drafts, `${flat(key)}~${upload_id}`);
  const urlOf = (token: string): string => `${publicUrl ?? ''}${LINK_PATH}${token}`;
  const untilOf = (lifeMs: number): number => Math.floor((Date.now() + lifeMs) / 1_000);

  async function write(
    key: string,
    path: string,
    bytes: AsyncIterable<Uint8Array>,
    place: (from: string, to: string) => Promise<void> = rename,
  ): Promise<number> {
    const draft = draftOf(key);
    let source = bytes;
    let size = 0;
    try {
      await mkdir(drafts, { recursive: true });
      const file = await open(draft, 'wx', 0o600);
      try {
        const failure = new SourceFailure();
        source = guarded(bytes, failure);
        for await (const chunk of source) {
          await writeAll(file, chunk);
          size += chunk.length;
        }
        await file.sync();
      } finally {
        await file.close();
      }
      await mkdir(dirname(path), { recursive: true });
      await place(draft, path);
      await syncDirectory(dirname(path));
      return size;
    } catch (error) {
      await rm(draft, { force: true }).catch(() => undefined);
      throw error instanceof SourceFailure ? error.cause : new StorageUnavailable(error);
    }
  }

  async function sizeOf(path: string): Promise<number | null> {
    try {
      return (await stat(path)).size;
    } catch (error) {
      if (isMissing(error)) return null;
      throw new StorageUnavailable(error);
    }
  }

  /** Opened before it is answered: who deletes it meanwhile leaves it to those who read. */
  async function read(key: string, range: ByteRange | undefined, into: NextPiece) {
    const file = await open(pathOf(key), 'r').catch((error: unknown) => {
      throw isMissing(error) ? new ObjectMissing() : new StorageUnavailable(error);
    });
    return pieces(file, range ?? (await wholeOf(file)), into);
  }

  return {
    put: (key, bytes) => write(key, pathOf(key), bytes),
    putPart: (key, upload_id, part, bytes) =>
      write(`${key}~${upload_id}`, join(partsOf(key, upload_id), String(part)), bytes),

    async head(key) {
      const size = await sizeOf(pathOf(key));
      return size === null ? null : { size };
    },

    read,
    get: (key, range) => read(key, range, freshPiece),

    async move(from, to) {
      try {
        await mkdir(dirname(pathOf(to)), { recursive: true });
        await placeOnce(pathOf(from), pathOf(to));
        await syncDirectory(dirname(pathOf(to)));
      } catch (error) {
        if (!isMissing(error)) throw new StorageUnavailable(error);
        if ((await sizeOf(pathOf(to))) === null) throw new ObjectMissing();
      }
    },

    async remove(key) {
      try {
        await rm(pathOf(key), { force: true });
        const left = await readdir(drafts).catch((error) => (isMissing(error) ? [] : Promise.reject(error)));
        const own = left.filter((name) => name.startsWith(`${flat(key)}~`));
        for (const name of own) await rm(join(drafts, name), { recursive: true, force: true });
      } catch (error) {
        throw new StorageUnavailable(error);
      }
    },

    async presignPut(key, size, type, lifeMs) {
      return putRequest(urlOf(signer.sign({ op: 'put', key, size, until: untilOf(lifeMs) })), type);
    },

    async presignParts(key, size, type, lifeMs) {
      const upload_id = randomBytes(12).toString('hex');
      const until = untilOf(lifeMs);
      const parts = partSizes(size, PART_BYTES).map((bytes, i) => {
        const part = [upload_id, i + 1] as const;
        const token = signer.sign({ op: 'put', key, size: bytes, until, part });
        return { ...putRequest(urlOf(token), type), part_number: i + 1, size: bytes };
      });
      return { upload_id, parts };
    },

    async completeParts(key, upload_id, size) {
      const directory = partsOf(key, upload_id);
      if ((await sizeOf(pathOf(key))) !== null) {
        // Joined before: a crash may have cut off the removal of the parts, and a late one may have come since.
        return rm(directory, { recursive: true, force: true }).catch(unavailable);
      }
      let names: string[] = [];
      try {
        names = await readdir(directory);
      } catch (error) {
        if (!isMissing(error)) throw new StorageUnavailable(error);
      }
      if (names.length === 0) throw new ObjectMissing();
      const numbers = names.map(Number).sort((a, b) => a - b);
      const paths = numbers.map((number) => join(directory, String(number)));
      let arrived = 0;
      for (const path of paths) arrived += (await sizeOf(path)) ?? 0;
      if (arrived !== size) throw new PartsMissing();
      await write(key, pathOf(key), joined(paths), placeOnce);
      await rm(directory, { recursive: true, force: true });
    },

    async *list() {
      try {
        yield* filesIn(join(root, 'objects'), (path) => path);
        yield* filesIn(drafts, (path) => unflat(path.split(/[~/]/, 1)[0] ?? ''));
      } catch (error) {
        throw new StorageUnavailable(error);
      }
    },

    async check() {
      try {
        await mkdir(root, { recursive: true });
        await access(root, constants.R_OK | constants.W_OK);
      } catch (error) {
        throw new StorageUnavailable(error);
      }
    },

    link: (key, { type, disposition, lifeMs }) =>
      urlOf(signer.sign({ op: 'get', key, until: untilOf(lifeMs), type, disposition })),
    close: () => undefined,
  };
}

/** The sizes of the parts that make up `size` bytes. */
export function partSizes(size: number, partBytes: number): number[] {
  const count = Math.max(1, Math.ceil(size / partBytes));
  return Array.from({ length: count }, (_, i) => Math.min(partBytes, size - i * partBytes));
}

function putRequest(url: string, type: string): DirectPut {
  return { method: 'PUT', url, headers: { 'content-type': type } };
}

/** A key as a file name; keys hold no underscore. */
function flat(key: string): string {
  return key.replaceAll('/', '_');
}

function unflat(name: string): string {
  return name.replaceAll('_', '/');
}

/** The files of a directory as keys; one that goes meanwhile is none. */
async function* filesIn(directory: string, keyOf: (path: string) => string): AsyncIterable<StoredKey> {
  const entries = await opendir(directory, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []; // nothing was stored yet
    throw error;
  });
  for await (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const found = await stat(path).catch((error: unknown) => {
      if (isMissing(error)) return null;
      throw error;
    });
    if (found !== null) yield { key: keyOf(relative(directory, path)), changed_at: found.mtime };
  }
}

/** Says that the stream to be stored failed, not the disk. */
class SourceFailure extends Error {}

async function* guarded(bytes: AsyncIterable<Uint8Array>, failure: SourceFailure) {
  try {
    yield* bytes;
  } catch (error) {
    failure.cause = error;
    throw failure;
  }
}

async function wholeOf(file: FileHandle): Promise<ByteRange> {
  try {
    return { start: 0, end: (await file.stat()).size - 1 };
  } catch (error) {
    await file.close();
    throw new StorageUnavailable(error);
  }
}

/** A range of a file, in pieces as large as the memory given for each. Whoever begins to read them closes the file, at its end or before. */
async function* pieces(
  file: FileHandle,
  { start, end }: ByteRange,
  into: NextPiece,
): AsyncIterable<Uint8Array> {
  try {
    for (let at = start; at <= end; ) {
      const piece = await into();
      const { bytesRead } = await file
        .read(piece, 0, Math.min(piece.length, end - at + 1), at)
        .catch(unavailable);
      if (bytesRead === 0) throw new StorageUnavailable(new Error('a file is shorter than it was'));
      at += bytesRead;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

function unavailable(error: unknown): never {
  throw new StorageUnavailable(error);
}

function freshPiece(): Uint8Array {
  return new Uint8Array(READ_BYTES);
}

async function* joined(paths: readonly string[]): AsyncIterable<Uint8Array> {
  const piece = new Uint8Array(READ_BYTES); // written before the next is asked for
  for (const path of paths) {
    const file = await open(path, 'r').catch(unavailable);
    yield* pieces(file, await wholeOf(file), () => piece);
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) {
    const { bytesWritten } = await file.write(chunk, at, chunk.length - at);
    at += bytesWritten;
  }
}

/** Gives a file another name where none has it: else that one stays, and this goes. In one step, where there are hard links. */
async function placeOnce(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST') {
      if (!NO_LINKS.has(code)) throw error;
      const isFree = await access(to).then(
        () => false,
        () => true,
      );
      if (isFree) return rename(from, to);
    }
  }
  await rm(from, { force: true });
}

/** The name of a new file is on disk only once its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
