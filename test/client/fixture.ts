import * as msgpackr from 'msgpackr';
import { WebSocket } from 'ws';
import { type Client, type ClientOptions, createClient, msgpack } from '../../client/src/index.js';
import type { Account } from '../helpers/rest-client.js';

export type Encoding = 'json' | 'msgpack';
export const ENCODINGS: readonly Encoding[] = ['json', 'msgpack'];

/** Quick to notice and to come back: the tests break connections all the time. */
export const QUICK = { backoff: { baseMs: 20, maxMs: 300 }, heartbeatMs: 300, timeoutMs: 2_000 } as const;

/** A client in Node of somebody registered. */
export function clientOf(
  url: string,
  account: Pick<Account, 'token'>,
  options: Partial<ClientOptions> & { readonly encoding?: Encoding } = {},
): Client {
  const { encoding, ...rest } = options;
  return createClient({
    url,
    token: async () => account.token,
    WebSocket,
    ...QUICK,
    ...(encoding === 'msgpack' ? { codec: msgpack(msgpackr) } : {}),
    ...rest,
  });
}
