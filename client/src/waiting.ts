import { localError } from './errors.js';

/** Full jitter: anything between 0 and a ceiling that doubles with each attempt, so that clients don't come back as one. */
export interface BackoffOptions {
  /** The first ceiling. */
  readonly baseMs?: number;
  /** The last ceiling. */
  readonly maxMs?: number;
}

const BASE_MS = 500;
const MAX_MS = 30_000; // longer, and a person reloads the page

/** Milliseconds to wait before attempt `attempt` (0 is the first retry). */
export function backoffMs(attempt: number, options: BackoffOptions = {}, random = Math.random): number {
  const { baseMs = BASE_MS, maxMs = MAX_MS } = options;
  return Math.floor(random() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 20)));
}

/** Rejects with the signal's reason when it aborts, else settles as `promise` does. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** @throws the signal's reason */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const slept = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return abortable(slept, signal).finally(() => clearTimeout(timer));
}

/** @throws ConnectionError `timeout` */
export function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(localError('timeout', 'No answer in time.')), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
