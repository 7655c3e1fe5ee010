import type { Config } from '../config.js';
import { type AddressReader, addressReader } from './client-address.js';
import { type Cors, createCors, type Header } from './cors.js';
import type { UnreadAnswers } from './unread-answers.js';

/** What stands on answers beside what they answer, and how they go out. */
export interface AnswerPolicy {
  readonly cors: Cors;
  /** On every answer. */
  readonly always: readonly Header[];
  /** What is held of answers, by the clients' addresses. */
  readonly unread: UnreadAnswers;
  readonly addressOf: AddressReader;
}

const HSTS_S = 31_536_000; // a year, as browsers' preload lists ask for

/** An answer is data: no page may show or run it. What has a page brings a policy of its own. */
export const DATA_POLICY: Header = [
  'content-security-policy',
  "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
];

export function answerPolicy(
  { allowedOrigins, isHttps, trustProxy }: Pick<Config, 'allowedOrigins' | 'isHttps' | 'trustProxy'>,
  unread: UnreadAnswers,
): AnswerPolicy {
  const always: Header[] = [
    ['x-content-type-options', 'nosniff'],
    ['x-frame-options', 'DENY'],
    ['cross-origin-resource-policy', allowedOrigins.length === 0 ? 'same-origin' : 'cross-origin'],
  ];
  if (isHttps) always.push(['strict-transport-security', `max-age=${HSTS_S}; includeSubDomains`]);
  return { cors: createCors(allowedOrigins), always, unread, addressOf: addressReader(trustProxy) };
}
