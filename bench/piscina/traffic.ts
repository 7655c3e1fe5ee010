/**
 * The traffic that both ways of holding a thread carry, shaped like Parley's: batches of requests as objects to the thread, and
 * for each batch one transferred slab of bytes with an index of offsets back (src/ipc/messages.ts).
 */
import type { MessagePort } from 'node:worker_threads';

/** A request like a client's send: about 120 characters of content and an id. */
export interface Request {
  readonly t: 'ws';
  readonly conn: number;
  readonly frame: {
    readonly type: 'send_message';
    readonly room_id: string;
    readonly payload: { readonly id: string; readonly content: string };
  };
}

/** The answers to a batch: `slab` holds their bytes, answer i begins at index[i]; the last entry is the end. */
export interface Answers {
  readonly slab: ArrayBuffer;
  readonly index: number[];
}

const CONTENT =
  'every message that was acknowledged is committed, numbered without a gap and delivered once, in order, to every member.';

/** Bytes of room in a slab for one answer: its id and content, all ASCII. */
const ANSWER_BYTES = 192;

/** @returns a new batch, its objects made afresh as a server's are. */
export function makeBatch(size: number, first: number): Request[] {
  return Array.from({ length: size }, (_, offset) => {
    const tail = (first + offset).toString(16).padStart(12, '0');
    return {
      t: 'ws',
      conn: (first + offset) % 10_000,
      frame: {
        type: 'send_message',
        room_id: `01932a5c-7d2e-7c3a-9f10-${tail}`,
        payload: { id: `01932a5c-8e11-7b22-8c33-${tail}`, content: CONTENT },
      },
    };
  });
}

/** The thread's side: answers every batch on `port` until it closes. Both ways of holding the thread run this very code. */
export function answerBatches(port: MessagePort): Promise<void> {
  return new Promise((resolve) => {
    port.on('message', (batch: readonly Request[]) => {
      const bytes = Buffer.from(new ArrayBuffer(batch.length * ANSWER_BYTES));
      const index = [0];
      let end = 0;
      for (const { frame } of batch) {
        end += bytes.write(frame.payload.id + frame.payload.content, end, 'latin1');
        index.push(end);
      }
      const slab = bytes.buffer as ArrayBuffer;
      port.postMessage({ slab, index } satisfies Answers, [slab]);
    });
    port.on('close', resolve);
  });
}

/**
 * The main thread's side: keeps `window` batches under way for `ms` milliseconds.
 * @returns answered messages a second.
 */
export function measureTraffic(
  port: MessagePort,
  batchSize: number,
  window: number,
  ms: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    let next = 0;
    let answered = 0;
    let underWay = 0;
    const send = (): void => {
      port.postMessage(makeBatch(batchSize, next));
      next += batchSize;
      underWay += 1;
    };
    const receive = ({ slab, index }: Answers): void => {
      underWay -= 1;
      answered += index.length - 1;
      if (index.at(-1) === 0 || slab.byteLength === 0) reject(new Error('an empty answer'));
      const elapsed = performance.now() - started;
      if (elapsed < ms) send();
      else if (underWay === 0) {
        port.off('message', receive);
        resolve((answered / elapsed) * 1_000);
      }
    };
    port.on('message', receive);
    for (let count = 0; count < window; count += 1) send();
  });
}
