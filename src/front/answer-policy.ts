import { type Cors, createCors, type Header } from './cors.js';

/** What stands on answers beside what they answer. */
export interface AnswerPolicy {
  readonly cors: Cors;
  /** On every answer. */
  readonly always: readonly Header[];
}

const HSTS_S = 31_536_000; // a year, as browsers' preload lists ask for

/** An answer is data: no page may show or run it. What has a page brings a policy of its own. */
export const DATA_POLICY: Header = [
  'content-security-policy',
  "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
];

/** @param isHttps whether clients reach the server by TLS, its own or a proxy's */
export function answerPolicy(allowedOrigins: readonly string[], isHttps: boolean): AnswerPolicy {
  const always: Header[] = [
    ['x-content-type-options', 'nosniff'],
    ['x-frame-options', 'DENY'],
    ['cross-origin-resource-policy', allowedOrigins.length === 0 ? 'same-origin' : 'cross-origin'],
  ];
  if (isHttps) always.push(['strict-transport-security', `max-age=${HSTS_S}; includeSubDomains`]);
  return { cors: createCors(allowedOrigins), always };
}
