import type { MessagePort } from 'node:worker_threads';
import type { ShardBatch, Slice, ToFront } from '../ipc/messages.js';
import { wallClockMs } from '../lib/wall-clock.js';

const SLAB_MAX_BYTES = 1024 * 1024; // a batch this large goes at once rather than at the turn's end

/** Gathers a turn's messages to the front into one postMessage, their bytes into one transferred slab. */
export interface Outbox {
  /** Puts bytes into the batch's slab; the slice belongs into the very next `post`. */
  bytes(data: string | Uint8Array): Slice;
  post(message: ToFront): void;
  flush(): void;
}

export function createOutbox(port: MessagePort): Outbox {
  let messages: ToFront[] = [];
  let chunks: (string | Uint8Array)[] = [];
  let size = 0;
  let scheduled = false;
  let at = 0;

  function flush(): void {
    scheduled = false;
    if (messages.length === 0) return;
    const slab = size === 0 ? null : Buffer.allocUnsafeSlow(size);
    if (slab !== null) {
      let end = 0;
      for (const chunk of chunks) {
        if (typeof chunk === 'string') end += slab.write(chunk, end);
        else {
          slab.set(chunk, end);
          end += chunk.length;
        }
      }
    }
    const batch: ShardBatch = { at, messages, slab: slab?.buffer ?? null };
    port.postMessage(batch, slab === null ? [] : [slab.buffer]);
    messages = [];
    chunks = [];
    size = 0;
  }

  return {
    bytes(data) {
      const length = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
      const slice: Slice = [size, length];
      chunks.push(data);
      size += length;
      return slice;
    },
    post(message) {
      if (messages.push(message) === 1) at = wallClockMs();
      if (size >= SLAB_MAX_BYTES) flush();
      else if (!scheduled) {
        scheduled = true;
        setImmediate(flush);
      }
    },
    flush,
  };
}
