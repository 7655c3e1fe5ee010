import { connect, type Socket } from 'node:net';
import { withDeadline } from '../lib/deadline.js';
import { createLimiter, type Limiter } from '../lib/rate-limits.js';
import { type HubFrame, hubFrame, hubFrameReader } from './hub-frames.js';
import { type BusLogger, messageOf, quietLog } from './quiet-log.js';
import { ANSWER_MS, MAX_PENDING, type SharedLimits } from './shared-limits.js';

/**
 * Limits that the processes of one machine share where there is no Redis: their hub counts for all of them.
 */
const RECONNECT_MS = 100;
const LIMITERS_MAX = 16; // there are three; each may hold some 20 MB

/** What a process asks of the hub: one take for `key` of the limiter of this name and limit. */
type Take = readonly [id: number, name: string, perMinute: number, key: string];
/** What the hub answers: 0, or milliseconds. */
type Taken = readonly [id: number, wait: number];

const encode = (type: 'take' | 'taken', value: Take | Taken): Buffer =>
  hubFrame(type, 0, Buffer.from(JSON.stringify(value)));
const decode = ({ bytes }: HubFrame): unknown => JSON.parse(Buffer.from(bytes).toString());

/** The hub's side: counts a take and gives the frame that answers it. */
export function hubCounts(): (frame: HubFrame) => Buffer {
  const limiters = new Map<string, Limiter>();
  return (frame) => {
    const [id, name, perMinute, key] = decode(frame) as Take;
    const known = `${name} ${perMinute}`;
    let limiter = limiters.get(known);
    if (limiter === undefined) {
      if (limiters.size >= LIMITERS_MAX) throw new Error('too many limiters');
      limiter = createLimiter({ perMinute });
      limiters.set(known, limiter);
    }
    return encode('taken', [id, limiter.take(key)]);
  };
}

/** A process' side, as `sharedLimits` is towards Redis. */
export function hubLimits(path: string, busLog: BusLogger): SharedLimits {
  const log = quietLog(busLog, {});
  const totals = { answered: 0, unanswered: 0 };
  const waiting = new Map<number, (wait: number) => void>();
  let socket: Socket | null = null;
  let retry: NodeJS.Timeout | null = null;
  let closed = false;
  let lastId = 0;

  function open(): void {
    const fresh = connect(path);
    fresh.on('connect', () => {
      socket = fresh;
    });
    fresh.on(
      'data',
      hubFrameReader((frame) => {
        if (frame.type !== 'taken') return;
        const [id, wait] = decode(frame) as Taken;
        waiting.get(id)?.(wait);
      }),
    );
    fresh.on('error', () => fresh.destroy());
    fresh.on('close', () => {
      socket = null;
      if (!closed) retry = setTimeout(open, RECONNECT_MS);
    });
  }
  open();

  async function take(name: string, perMinute: number, key: string): Promise<number | null> {
    if (socket === null || waiting.size >= MAX_PENDING) {
      totals.unanswered++;
      return null;
    }
    const id = ++lastId;
    const asked = new Promise<number>((resolve) => waiting.set(id, resolve));
    socket.write(encode('take', [id, name, perMinute, key]));
    try {
      const wait = await withDeadline(asked, ANSWER_MS, () => new Error(`no answer within ${ANSWER_MS} ms`));
      totals.answered++;
      return wait;
    } catch (error) {
      totals.unanswered++;
      log.warn('shared_limit_unanswered', { cause: messageOf(error) });
      return null;
    } finally {
      waiting.delete(id);
    }
  }

  return {
    totals,
    limiter: (name, { perMinute }) =>
      perMinute <= 0 ? { take: async () => 0 } : { take: (key) => take(name, perMinute, key) },
    async close() {
      closed = true;
      if (retry !== null) clearTimeout(retry);
      socket?.destroy();
    },
  };
}
