import type { Caller, OverLimit } from '../ipc/messages.js';
import { Refusal } from '../protocol/errors.js';
import type { RoomId } from '../protocol/ids.js';

/** A REST request without its transport: parsed, checked against its route's schemas, and authenticated. */
export interface HttpCall {
  readonly params: Readonly<Record<string, string>>;
  readonly query: unknown;
  readonly body: unknown;
  readonly caller: Caller | null;
  /** The client's address, through trusted proxies, as limits go by it: of IPv6 its /64. */
  readonly address: string;
  readonly userAgent: string;
  /** Where the client has called the server, for links; '' where that isn't known. */
  readonly origin: string;
  readonly over: OverLimit | null;
}

/** A list's cursor: `next` is the value to pass on, null at the end. */
export interface Page {
  readonly has_more: boolean;
  readonly next: string | null;
}

export interface HttpAnswer {
  readonly status: 200 | 201;
  readonly data: unknown;
  readonly page?: Page;
}

/** The request belongs to the shard that owns this room. */
export interface HttpReroute {
  readonly reroute: RoomId;
}

/** Answers, or throws a Refusal; anything else thrown is an `internal` error. */
export type HttpHandler = (call: HttpCall) => Promise<HttpAnswer | HttpReroute>;

/** The caller of a route that needs one. */
export function callerOf(call: HttpCall): Caller {
  if (call.caller === null) throw new Refusal('unauthenticated');
  return call.caller;
}
