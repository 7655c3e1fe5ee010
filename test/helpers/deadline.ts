import { setTimeout as sleep } from 'node:timers/promises';

/** How long a test waits for something that should come at once; generous, because the machine may be busy. */
export const DEADLINE_MS = 30_000;

const POLL_MS = 15;

/** The value of `promise`, or a rejection that says what was waited for once `ms` have passed. */
export async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Polls until `check` gives something other than undefined, null or false, and returns that.
 *
 * @throws once `ms` have passed, with `what` in its message
 */
export async function until<T>(
  check: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  what: string,
  ms = DEADLINE_MS,
): Promise<T> {
  const giveUpAt = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== null && value !== false) return value;
    if (Date.now() >= giveUpAt) throw new Error(`${what}: not within ${ms} ms`);
    await sleep(POLL_MS);
  }
}

/** The value, which the test knows to be there. */
export function must<T>(value: T | undefined | null, what = 'a value'): T {
  if (value === undefined || value === null) throw new Error(`missing: ${what}`);
  return value;
}
