import { ParleyError } from './errors.js';
import type { Synced } from './room-log.js';
import type { RoomStream } from './room-stream.js';
import { backoffMs, sleep } from './waiting.js';

const AT_ONCE = 4; // rooms that catch up together: many rooms must not starve what a person does
const LIMIT = 500; // messages in an answer, the protocol's most

/**
 * Brings rooms that are behind up to date, a few at a time.
 * @returns asks for a room; asking twice is once
 */
export function createSyncs(
  ask: (roomId: string, payload: object, take: (answer: Synced) => void) => Promise<void>,
): (stream: RoomStream) => void {
  const waiting = new Set<RoomStream>();
  const running = new Set<RoomStream>();

  async function sync(stream: RoomStream): Promise<void> {
    for (let attempt = 0; stream.state() === 'joined' && stream.log.behind(); ) {
      try {
        const payload = { since: stream.log.rev(), limit: LIMIT };
        await ask(stream.id, payload, stream.synced);
        attempt = 0;
      } catch (error) {
        if (!(error instanceof ParleyError)) throw error;
        if (error.code === 'disconnected') return; // resumed with the next connection
        if (!error.retry) return stream.refused({ code: error.code, error: error.message });
        await sleep(error.retryAfterMs ?? backoffMs(attempt++));
      }
    }
  }

  function start(): void {
    for (const stream of waiting) {
      if (running.size >= AT_ONCE) return;
      if (running.has(stream)) continue;
      waiting.delete(stream);
      running.add(stream);
      void sync(stream).finally(() => {
        running.delete(stream);
        start();
      });
    }
  }

  return (stream) => {
    if (running.has(stream)) return;
    waiting.add(stream);
    start();
  };
}
