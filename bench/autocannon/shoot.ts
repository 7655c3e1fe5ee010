import autocannon from 'autocannon';
import type { RestClient } from '../load/rest-client.js';
import type { Figures } from './outcome.js';
import type { Suite } from './suites.js';

const NOT_FOUND = 404;

/** Runs a suite at its rate. @returns undefined where the server has no such route. */
export async function shoot(
  rest: RestClient,
  origin: string,
  suite: Suite,
  seconds: number,
): Promise<Figures | undefined> {
  const body = suite.body === undefined ? undefined : JSON.stringify(suite.body);
  const first = suite.paths[0] ?? '/';
  if ((await rest.status(suite.method, first, suite.token, suite.body)) === NOT_FOUND) return undefined;
  const result = await autocannon({
    url: origin,
    title: suite.name,
    duration: seconds,
    connections: suite.connections,
    overallRate: suite.rate,
    method: suite.method,
    headers: {
      ...(suite.token === undefined ? {} : { authorization: `Bearer ${suite.token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body }),
    requests: suite.paths.map((path) => ({ path: `/api/v1${path}` })),
  });
  return {
    requests: result.requests.total,
    rate: Math.round((result.requests.total / result.duration) * 10) / 10,
    p50: result.latency.p50,
    p90: result.latency.p90,
    p99: result.latency.p99,
    max: result.latency.max,
    errors: result.errors + result.timeouts,
    not2xx: result.non2xx,
  };
}
