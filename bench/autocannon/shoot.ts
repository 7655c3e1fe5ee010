import autocannon, { type Result } from 'autocannon';
import { sleep } from '../load/clock.js';
import { createLatencyRecorder, mergeEncoded, summarize } from '../load/latency.js';
import type { RestClient } from '../load/rest-client.js';
import { addCounts } from '../load/result.js';
import type { Figures } from './outcome.js';
import type { Suite } from './suites.js';

const NOT_FOUND = 404;
const SECOND_MS = 1_000;
const MICROS_IN_MS = 1_000;

/**
 * Runs a suite at its rate, and measures once it has run for a while: a server that has just started compiles what it runs.
 * @returns undefined where the server has no such route.
 */
export async function shoot(
  rest: RestClient,
  origin: string,
  suite: Suite,
  { warmup, seconds }: { readonly warmup: number; readonly seconds: number },
): Promise<Figures | undefined> {
  const [first] = suite.requests;
  if (first === undefined) throw new Error(`${suite.name} asks nothing`);
  if ((await rest.status(first.method, first.path, suite.token, first.body)) === NOT_FOUND) return undefined;
  const latencies = createLatencyRecorder();
  const before = 1 + warmup; // seconds: the last client begins within the first
  const from = performance.now() + before * SECOND_MS;
  const until = from + seconds * SECOND_MS;
  const answered = (ms: number) => {
    const now = performance.now();
    if (now >= from && now < until) latencies.record(ms * MICROS_IN_MS);
  };
  const results = await Promise.all(
    Array.from({ length: suite.connections }, async (_, index) => {
      await sleep((index * SECOND_MS) / suite.connections);
      return client(origin, suite, index, before + seconds, answered);
    }),
  );
  const sum = (of: (result: Result) => number) => results.reduce((total, result) => total + of(result), 0);
  const { count, p50, p90, p99, max } = summarize(mergeEncoded([latencies.encoded()]));
  const rate = Math.round((count / seconds) * 10) / 10;
  return {
    requests: count,
    rate,
    ...{ p50, p90, p99, max },
    errors: sum(({ errors, timeouts }) => errors + timeouts),
    not2xx: sum(({ non2xx }) => non2xx),
    refusals: addCounts(results.map(refusalsOf)),
  };
}

/** How often each status came that is no success. */
function refusalsOf({ statusCodeStats = {} }: Result): Record<string, number> {
  const refused = Object.entries(statusCodeStats).filter(([status]) => !status.startsWith('2'));
  return Object.fromEntries(refused.map(([status, { count = 0 }]) => [status, count]));
}

/**
 * One connection, as an autocannon of its own: it asks all that is due in a second at once, one after the other. Those of one
 * autocannon all do so at the same moment, in a crowd that waits for itself; these begin each at its own moment of the
 * second, and elsewhere in the list of requests, as independent clients do.
 */
function client(
  origin: string,
  suite: Suite,
  index: number,
  seconds: number,
  answered: (ms: number) => void,
): Promise<Result> {
  const authorization = suite.token === undefined ? {} : { authorization: `Bearer ${suite.token}` };
  const start = Math.floor((index * suite.requests.length) / suite.connections);
  const inTurn = [...suite.requests.slice(start), ...suite.requests.slice(0, start)];
  return new Promise((resolve, reject) => {
    const instance = autocannon(
      {
        url: origin,
        duration: seconds,
        connections: 1,
        overallRate: suite.rate / suite.connections,
        requests: inTurn.map(({ method, path, body }) => ({
          method,
          path: `/api/v1${path}`,
          headers: {
            ...authorization,
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        })),
      },
      (error, result) => (error ? reject(error) : resolve(result)),
    );
    instance.on('response', (_client, _status, _bytes, ms) => answered(ms));
  });
}
