import { LRUCache } from 'lru-cache';

/**
 * Rate limits in bounded memory: at most `maxKeys` keys are known, the least recently seen is forgotten first.
 *
 * `perMinute` holds strictly: of any 60 s, no more than so many are allowed. It counts in slices of 5 s and
 * forgets a slice as a whole, so a refused caller waits up to one slice longer than needed. `perSecond` with
 * `burst` is a token bucket. Refused takes cost nothing.
 */
export interface Limiter {
  /** Counts one take for `key`: 0 where it is allowed, otherwise the milliseconds after which one will be. */
  take(key: string): number;
}

export type LimiterOptions =
  /** 0 turns the limit off. */
  | { readonly perMinute: number; readonly maxKeys?: number }
  | { readonly perSecond: number; readonly burst: number; readonly maxKeys?: number };

const MAX_KEYS = 100_000; // about 20 MB when full
const SLICE_MS = 5_000;
/** A minute, and the slice that is still running. */
const SLICES = 60_000 / SLICE_MS + 1;

/** @param now a monotonic clock in milliseconds */
export function createLimiter(options: LimiterOptions, now: () => number = () => performance.now()): Limiter {
  const rate = 'perMinute' in options ? options.perMinute : options.perSecond;
  if (rate <= 0) return { take: () => 0 };
  const maxKeys = options.maxKeys ?? MAX_KEYS;
  return 'perMinute' in options
    ? slidingWindow(options.perMinute, maxKeys, now)
    : tokenBucket(options.perSecond, Math.max(1, options.burst), maxKeys, now);
}

interface Window {
  /** Takes by slice number modulo SLICES. */
  readonly counts: number[];
  /** The slice of the last look; what lies between it and now has expired or was never used. */
  slice: number;
  total: number;
}

function slidingWindow(limit: number, maxKeys: number, now: () => number): Limiter {
  const windows = new LRUCache<string, Window>({ max: maxKeys });
  return {
    take(key) {
      const time = now();
      const slice = Math.floor(time / SLICE_MS);
      let window = windows.get(key);
      if (window === undefined) {
        window = { counts: new Array<number>(SLICES).fill(0), slice, total: 0 };
        windows.set(key, window);
      }
      forget(window, slice);
      if (window.total < limit) {
        window.counts[slice % SLICES] = (window.counts[slice % SLICES] ?? 0) + 1;
        window.total++;
        return 0;
      }
      let oldest = slice - SLICES + 1;
      while (oldest < slice && !window.counts[mod(oldest)]) oldest++;
      return Math.max(1, Math.ceil((oldest + SLICES) * SLICE_MS - time));
    },
  };
}

function mod(slice: number): number {
  return (slice + SLICES) % SLICES;
}

function forget(window: Window, slice: number): void {
  const from = Math.max(window.slice + 1, slice - SLICES + 1);
  for (let i = from; i <= slice; i++) {
    window.total -= window.counts[mod(i)] ?? 0;
    window.counts[mod(i)] = 0;
  }
  window.slice = slice;
}

function tokenBucket(perSecond: number, burst: number, maxKeys: number, now: () => number): Limiter {
  const perMs = perSecond / 1_000;
  const buckets = new LRUCache<string, { tokens: number; at: number }>({ max: maxKeys });
  return {
    take(key) {
      const time = now();
      let bucket = buckets.get(key);
      if (bucket === undefined) {
        bucket = { tokens: burst, at: time };
        buckets.set(key, bucket);
      }
      bucket.tokens = Math.min(burst, bucket.tokens + (time - bucket.at) * perMs);
      bucket.at = time;
      if (bucket.tokens >= 1) {
        bucket.tokens -= 1;
        return 0;
      }
      return Math.max(1, Math.ceil((1 - bucket.tokens) / perMs));
    },
  };
}
