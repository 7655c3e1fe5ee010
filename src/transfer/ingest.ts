import Type from 'typebox';
import { decideType, isHopeless, isPicture, SAMPLE_BYTES } from '../attachments/file-types.js';
import { presentation } from '../attachments/presentation.js';
import { ObjectMissing, type ObjectStorage, PartsMissing } from '../attachments/storage-port.js';
import type { FormFile } from '../attachments/upload-form.js';
import type { Picture } from '../ipc/messages.js';
import { Refusal } from '../protocol/errors.js';
import { FileName } from '../protocol/requests.js';
import { validator } from '../protocol/validate.js';
import type { AttachmentRecord, StoredFile } from '../rooms/attachment-ports.js';
import type { OpenedUpload } from '../rooms/attachment-service.js';
import { incomingKey, thumbnailKey } from '../rooms/attachment-view.js';

const PICTURE_MAX_BYTES = 20 * 1_024 * 1_024; // a larger picture gets no thumbnail: it is read into memory for it
const PICTURES_AT_ONCE_MAX = 2; // 40 MiB
const PICTURES_WAITING_MAX = 64; // as many as uploads; beyond it a picture goes without thumbnail
const checkName = validator(Type.Object({ file_name: FileName }));

/** Brings files into storage and finds out what they are. */
export interface Ingest {
  /** Stores a form's file; nothing of it stays in memory. @throws Refusal, StorageUnavailable, or what the file throws */
  store(opened: OpenedUpload, file: FormFile): Promise<StoredFile>;
  /**
   * Takes what a client has brought to storage out of its reach, and checks it. May be repeated.
   * @throws Refusal, UselessUpload, StorageUnavailable
   */
  inspect(record: AttachmentRecord): Promise<StoredFile>;
}

/** The upload is worth nothing: it is to be given up. */
export class UselessUpload extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.problem.code);
  }
}

export function createIngest(ports: {
  readonly storage: ObjectStorage;
  readonly allowedTypes: readonly string[];
  readonly picture: (bytes: Uint8Array) => Promise<Picture>;
}): Ingest {
  const { storage, allowedTypes } = ports;
  const waiting: (() => void)[] = [];
  let pictures = 0;

  async function turn(): Promise<void> {
    if (pictures++ >= PICTURES_AT_ONCE_MAX) await new Promise<void>((resolve) => waiting.push(resolve));
  }

  /** Never fails: a file without thumbnail is a file. */
  async function seen(key: string, type: string, size: number) {
    const blind = { width: null, height: null, has_thumbnail: false };
    if (!isPicture(type) || size > PICTURE_MAX_BYTES || waiting.length >= PICTURES_WAITING_MAX) return blind;
    await turn();
    try {
      const { width, height, thumbnail } = await ports.picture(await readAll(await storage.get(key), size));
      await storage.put(thumbnailKey(key), once(thumbnail), 'image/webp');
      return { width, height, has_thumbnail: true };
    } catch {
      return blind;
    } finally {
      pictures--;
      waiting.shift()?.();
    }
  }

  return {
    async store(opened, file) {
      const { file_name } = checkName({ file_name: file.file_name });
      if (isHopeless(file.claimed)) throw new Refusal('unsupported_media_type', { field: 'file' });
      const { sample, all } = await peek(limited(file.bytes, opened));
      if (sample.length === 0)
        throw new Refusal('bad_request', { field: 'file', sentence: 'The file is empty.' });
      const file_type = await decideType(sample, file.claimed, allowedTypes);
      const served = presentation(file_name, file_type).type;
      const file_size = await storage.put(opened.storage_key, all, served);
      return { file_name, file_type, file_size, ...(await seen(opened.storage_key, file_type, file_size)) };
    },

    async inspect(record) {
      const { storage_key: key, upload_id, file_name } = record;
      try {
        if (upload_id !== null) await storage.completeParts(key, upload_id, record.file_size);
        else await storage.move(incomingKey(key), key);
      } catch (error) {
        if (error instanceof PartsMissing) {
          throw new Refusal('bad_request', { sentence: 'Not all parts of the file are in storage yet.' });
        }
        if (!(error instanceof ObjectMissing)) throw error;
        throw new Refusal('bad_request', { sentence: 'The file is not in storage yet.' });
      }
      const size = (await storage.head(key))?.size ?? 0;
      if (size !== record.file_size) {
        const sentence = 'The file in storage is not of the announced size.';
        throw new UselessUpload(new Refusal('bad_request', { field: 'file_size', sentence }));
      }
      const end = Math.min(size, SAMPLE_BYTES) - 1;
      const sample = await readAll(await storage.get(key, { start: 0, end }), end + 1);
      const file_type = await decideType(sample, record.file_type, allowedTypes).catch((error: unknown) => {
        throw error instanceof Refusal ? new UselessUpload(error) : error;
      });
      return { file_name, file_type, file_size: size, ...(await seen(key, file_type, size)) };
    },
  };
}

async function* limited(bytes: AsyncIterable<Uint8Array>, opened: OpenedUpload): AsyncIterable<Uint8Array> {
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    if (size > opened.maxBytes) throw opened.refusal;
    yield chunk;
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

/** The first bytes of a stream, and all of it. */
async function peek(
  bytes: AsyncIterable<Uint8Array>,
): Promise<{ sample: Uint8Array; all: AsyncIterable<Uint8Array> }> {
  const source = bytes[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let size = 0;
  while (size < SAMPLE_BYTES) {
    const { value, done } = await source.next();
    if (done === true) break;
    first.push(value);
    size += value.length;
  }
  async function* all(): AsyncIterable<Uint8Array> {
    yield* first;
    yield* { [Symbol.asyncIterator]: () => source };
  }
  return { sample: Buffer.concat(first).subarray(0, SAMPLE_BYTES), all: all() };
}

/** As bytes that own their buffer, so that it can be given to another thread. */
async function readAll(bytes: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const whole = new Uint8Array(size);
  let at = 0;
  for await (const chunk of bytes) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole.subarray(0, at);
}
