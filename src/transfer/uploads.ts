import type { GrantSigner } from '../attachments/local-links.js';
import type { LocalStorage } from '../attachments/local-storage.js';
import { readUploadForm } from '../attachments/upload-form.js';
import type { FromTransfer, ToTransfer } from '../ipc/messages.js';
import { withDeadline } from '../lib/deadline.js';
import { Refusal } from '../protocol/errors.js';
import type { Attachment } from '../protocol/model.js';
import type { AttachmentService, OpenedUpload } from '../rooms/attachment-service.js';
import { type AttachmentViews, ownerKey } from '../rooms/attachment-view.js';
import { createFeed, type Feed } from './feed.js';
import type { Ingest } from './ingest.js';

/**
 * Uploads under way.
 *
 *   asked ──may send? quota?──► open (credit, chunks) ──form ended, bytes stored──► checked ──► ready (answered)
 *      └────────no────────► answered │ refused, or the client is gone: given up, the collector removes the rest
 */
const WINDOW_BYTES = 512 * 1_024; // in flight from the front for one upload
const AT_ONCE_MAX = 64; // with S3 each holds up to 15 MiB: under a gigabyte
const AT_ONCE_PER_USER_MAX = 8; // that nobody takes all of them
const LONGEST_MS = 43_200_000; // half of the time after which a pending row expires
const FORM_BYTES = 4_096; // of a body that are the form's, not the file's

type Upload = Extract<ToTransfer, { t: 'upload' }>;
type Put = Extract<ToTransfer, { t: 'put' }>;

export interface Uploads {
  /** @throws Refusal, StorageUnavailable */
  upload(request: Upload): Promise<Attachment>;
  put(request: Put): Promise<void>;
  chunk(message: Extract<ToTransfer, { t: 'chunk' }>): void;
  /** The client is gone. */
  cancel(id: number): void;
}

/** What a reader of an upload's bytes gets when nobody sends any more. */
export class ClientGone extends Error {}

export function createUploads(ports: {
  readonly attachments: AttachmentService;
  readonly views: AttachmentViews;
  readonly ingest: Ingest;
  readonly local: { readonly storage: LocalStorage; readonly grants: GrantSigner } | null;
  readonly post: (message: Extract<FromTransfer, { t: 'credit' }>) => void;
  /** There is something to collect. */
  readonly left: () => void;
}): Uploads {
  const { attachments, ingest, post } = ports;
  const feeds = new Map<number, Feed>();
  const byUser = new Map<string, number>();

  /** Runs an exchange that takes bytes; they are dropped once it has come to its end. */
  async function receiving<T>(id: number, take: (feed: Feed) => Promise<T>): Promise<T> {
    if (feeds.size >= AT_ONCE_MAX) throw new Refusal('overloaded');
    const feed = createFeed((bytes) => post({ t: 'credit', id, bytes }));
    feeds.set(id, feed);
    try {
      return await withDeadline(take(feed), LONGEST_MS, () => new Refusal('unavailable'));
    } finally {
      feeds.delete(id);
      feed.end(new ClientGone());
    }
  }

  async function counted<T>(user_id: string, run: () => Promise<T>): Promise<T> {
    const others = byUser.get(user_id) ?? 0;
    if (others >= AT_ONCE_PER_USER_MAX) throw new Refusal('overloaded');
    byUser.set(user_id, others + 1);
    try {
      return await run();
    } finally {
      const left = (byUser.get(user_id) ?? 1) - 1;
      if (left === 0) byUser.delete(user_id);
      else byUser.set(user_id, left);
    }
  }

  async function receive(request: Upload, opened: OpenedUpload, feed: Feed): Promise<Attachment> {
    try {
      post({ t: 'credit', id: request.id, bytes: WINDOW_BYTES });
      const file = await readUploadForm(request.contentType, feed, (form) => ingest.store(opened, form));
      return ports.views.show(await attachments.finish(opened.id, file), request.origin);
    } catch (error) {
      await attachments.giveUp(opened.id).catch(() => undefined); // else it expires
      ports.left();
      throw error;
    }
  }

  return {
    upload: (request) =>
      counted(request.caller.user_id, () =>
        receiving(request.id, async (feed) => {
          const { length } = request;
          const file = length === null ? null : Math.max(1, length - shortestForm(request.contentType));
          const opened = await attachments.open(request.caller.user_id, request.room_id, file);
          return receive(request, opened, feed);
        }),
      ),

    async put({ id, token, length }) {
      const grant = ports.local?.grants.read(token, Date.now()) ?? null;
      if (grant?.op !== 'put' || ports.local === null) {
        throw new Refusal('forbidden', { sentence: 'This link is not valid, or no longer.' });
      }
      const { key, size, part } = grant;
      if (length !== size) {
        throw new Refusal('bad_request', { sentence: `The body must be of the announced ${size} bytes.` });
      }
      const { storage } = ports.local;
      const check = () => attachments.checkAwaited(ownerKey(key) ?? key);
      await receiving(id, async (feed) => {
        await check();
        post({ t: 'credit', id, bytes: WINDOW_BYTES });
        const bytes = endingWith(feed, check); // which may have been completed while they came
        if (part === undefined) await storage.put(key, bytes, '');
        else await storage.putPart(key, part[0], part[1], bytes);
      });
    },

    chunk({ id, bytes, last }) {
      const feed = feeds.get(id);
      if (bytes.length > 0) feed?.push(bytes);
      if (last) feed?.end();
    },

    cancel: (id) => feeds.get(id)?.end(new ClientGone()),
  };
}

/** A stream that fails where `check` does at its end: what takes it then takes nothing. */
async function* endingWith(
  bytes: AsyncIterable<Uint8Array>,
  check: () => Promise<void>,
): AsyncIterable<Uint8Array> {
  yield* bytes;
  await check();
}

/** What a form around a file takes at least: so much of a body isn't counted against the quota. */
function shortestForm(contentType: string): number {
  const boundary = /boundary="?([^";]+)/i.exec(contentType)?.[1]?.length ?? 0;
  return Math.min(FORM_BYTES, 2 * boundary);
}
