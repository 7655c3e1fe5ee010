import type { Frame } from './codec.js';
import { errorOf, localError, type Problem } from './errors.js';

/**
 * What was asked over a socket and not answered yet. Answers are handed over in the turn in which they arrive, so that
 * they stand in order with the events around them.
 */
export interface Requests {
  /**
   * @param take is handed each answer but `error`; false says that more follow
   * @throws ParleyError `queue_full`
   */
  readonly add: (take: (frame: Frame) => boolean) => { ref: number; answered: Promise<void> };
  /** Takes an answer. False: the frame is none. One that came too late, or twice, is dropped. */
  readonly answer: (frame: Frame) => boolean;
  /** Rejects all with ConnectionError `disconnected`. */
  readonly lost: () => void;
}

interface Open {
  readonly take: (frame: Frame) => boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** What the server answers with, beside `error`. These are nobody's events, whatever became of their requests. */
const ANSWERS: ReadonlySet<string> = new Set([
  'authenticated',
  'pong',
  'joined',
  'resumed',
  'synced',
  'left',
  'message_ack',
  'ok',
]);
const OPEN_MAX = 1_000; // more unanswered at once is a loop in the application

export function createRequests(timeoutMs: number): Requests {
  const open = new Map<unknown, Open>();
  let lastRef = 0;

  const settle = (ref: unknown): Open | undefined => {
    const request = open.get(ref);
    clearTimeout(request?.timer);
    open.delete(ref);
    return request;
  };

  return {
    add(take) {
      if (open.size >= OPEN_MAX) throw localError('queue_full', 'Too many requests without an answer.');
      const ref = ++lastRef;
      const answered = new Promise<void>((resolve, reject) => {
        const late = () => settle(ref)?.reject(localError('timeout', 'No answer in time.'));
        open.set(ref, { take, resolve, reject, timer: setTimeout(late, timeoutMs) });
      });
      return { ref, answered };
    },
    answer(frame) {
      const request = open.get(frame.ref);
      if (request === undefined) return frame.ref !== undefined || ANSWERS.has(frame.type);
      if (frame.type === 'error') settle(frame.ref)?.reject(errorOf(frame.payload as Problem));
      else if (request.take(frame)) settle(frame.ref)?.resolve();
      return true;
    },
    lost() {
      for (const ref of [...open.keys()]) {
        settle(ref)?.reject(localError('disconnected', 'The connection was lost before the answer.'));
      }
    },
  };
}
