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
  const [first] = suite.requests;
  if (first === undefined) throw new Error(`${suite.name} asks nothing`);
  if ((await rest.status(first.method, first.path, suite.token, first.body)) === NOT_FOUND) return undefined;
  const authorization = suite.token === undefined ? {} : { authorization: `Bearer ${suite.token}` };
  const result = await autocannon({
    url: origin,
    title: suite.name,
    duration: seconds,
    connections: suite.connections,
    overallRate: suite.rate,
    requests: suite.requests.map(({ method, path, body }) => ({
      method,
      path: `/api/v1${path}`,
      headers: { ...authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })),
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
