import type { ObjectStorage } from '../attachments/storage-port.js';
import type { AttachmentStore } from './attachment-ports.js';
import { incomingKey, thumbnailKey } from './attachment-view.js';

const EVERY_MS = 2_000; // one look into an index
const BATCH = 20; // removals under one lease
const AT_ONCE = 3; // of them under way: the process' four threads for files, and sockets to S3, are for uploads too
const DETACH_BATCH = 200; // files: some milliseconds in which their rooms take no message
const LEASE_MS = 300_000; // more than a batch takes against storage that times out at every step

export interface Collector {
  /** Looks soon, rather than at the next turn. */
  kick(): void;
  /** Resolves when nothing is under way any more. */
  close(): Promise<void>;
}

/**
 * Removes the bytes and rows of attachments that are due: expired ones and those deleted. What a removed account had
 * attached leaves its messages first. Runs on every node; each removal is leased to one of them and, done twice after
 * a crash, changes nothing.
 */
export function startCollector(
  store: Pick<AttachmentStore, 'detachDue' | 'takeDue' | 'removed'>,
  storage: Pick<ObjectStorage, 'remove'>,
  report: (error: unknown) => void,
): Collector {
  let running: Promise<void> | null = null;
  let again = false;
  let closed = false;

  /** @returns whether there may be more to do at once */
  async function collect(): Promise<boolean> {
    while (!closed && (await store.detachDue(DETACH_BATCH)) > 0);
    const due = await store.takeDue(BATCH, LEASE_MS);
    for (let from = 0; from < due.length; from += AT_ONCE) {
      const some = due.slice(from, from + AT_ONCE);
      const outcomes = await Promise.allSettled(
        some.map(({ storage_key }) => removeBytes(storage, storage_key)),
      );
      await store.removed(some.flatMap(({ id }, i) => (outcomes[i]?.status === 'fulfilled' ? [id] : [])));
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    }
    return due.length === BATCH;
  }

  async function run(): Promise<void> {
    try {
      do again = false;
      while (!closed && ((await collect()) || again));
    } catch (error) {
      report(error); // the leases end, and it is tried again
    } finally {
      running = null;
    }
  }

  const kick = (): void => {
    again = true;
    if (!closed) running ??= run();
  };
  const timer = setInterval(kick, EVERY_MS);
  timer.unref();
  kick();

  return {
    kick,
    async close() {
      closed = true;
      clearInterval(timer);
      await running;
    },
  };
}

/** Removes all that is stored of an attachment. May be repeated. @throws StorageUnavailable */
export async function removeBytes(
  storage: Pick<ObjectStorage, 'remove'>,
  storage_key: string,
): Promise<void> {
  await storage.remove(storage_key);
  await storage.remove(thumbnailKey(storage_key));
  await storage.remove(incomingKey(storage_key));
}
