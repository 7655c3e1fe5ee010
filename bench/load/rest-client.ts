import { sleep } from './clock.js';
import { asMembers, asNumber, asString, type Members } from './frame-read.js';

/** Calls the server's REST API; see PROTOCOL.md §2. */
export interface RestClient {
  /**
   * @param path below /api/v1, beginning with a slash.
   * @returns the answer's `data`.
   * @throws Error with method, path and the server's answer when it isn't a success. 429 and 503 are tried again.
   */
  call(method: 'GET' | 'POST', path: string, token: string | undefined, body?: Members): Promise<Members>;
  /** The status alone, whatever it is. */
  status(method: string, path: string, token: string | undefined, body?: Members): Promise<number>;
}

/** A refused call is tried again so often, then the set-up has failed. */
const MAX_ATTEMPTS = 8;

/** Longest wait before the next attempt, whatever `retry-after` says: a bench isn't left waiting for an hour. */
const MAX_RETRY_AFTER_S = 30;

/** No answer to one request in this time: the set-up has failed. */
const REQUEST_TIMEOUT_MS = 30_000;

/** @param origin e.g. `http://127.0.0.1:8080`. */
export function createRestClient(origin: string): RestClient {
  async function attempt(method: string, path: string, token: string | undefined, body: Members | undefined) {
    return await fetch(`${origin}/api/v1${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
  }

  return {
    async status(method, path, token, body) {
      const response = await attempt(method, path, token, body);
      await response.arrayBuffer();
      return response.status;
    },
    async call(method, path, token, body) {
      for (let tries = 1; ; tries += 1) {
        const response = await attempt(method, path, token, body).catch((error: Error) => {
          throw new Error(
            `${method} ${path}: ${error.cause instanceof Error ? error.cause.message : error.message}`,
          );
        });
        const text = await response.text();
        if (response.ok) return asMembers(asMembers(JSON.parse(text)).data);
        const again = (response.status === 429 || response.status === 503) && tries < MAX_ATTEMPTS;
        if (!again) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`);
        const seconds = Number(response.headers.get('retry-after') ?? 1);
        await sleep(Math.min(Number.isFinite(seconds) ? seconds : 1, MAX_RETRY_AFTER_S) * 1_000);
      }
    },
  };
}

/** Reads a member that must be a string. @throws Error naming it. */
export function needString(members: Members, name: string): string {
  const value = asString(members[name]);
  if (value === undefined) throw new Error(`the server's answer has no ${name}: ${JSON.stringify(members)}`);
  return value;
}

/** Reads a member that must be a number. @throws Error naming it. */
export function needNumber(members: Members, name: string): number {
  const value = asNumber(members[name]);
  if (value === undefined) throw new Error(`the server's answer has no ${name}: ${JSON.stringify(members)}`);
  return value;
}

/** Runs `work` for each item, at most `limit` at a time; results keep the items' order. The first failure is thrown. */
export async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      results[index] = await work(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  return results;
}
