import type { Message } from '../../src/protocol/model.js';

export type Encoding = 'json' | 'msgpack';
export type Ref = string | number;

/** A frame of either direction (PROTOCOL §3). */
export interface Frame<P = Readonly<Record<string, unknown>>> {
  readonly type: string;
  readonly room_id?: string;
  readonly rev?: number;
  readonly ref?: Ref;
  readonly timestamp?: number;
  readonly payload: P;
}

/** Payloads of the server's answers. */
export interface ErrorPayload {
  readonly code: string;
  readonly error: string;
  readonly retry: boolean;
  readonly retry_after_ms?: number;
  readonly field?: string;
}
export interface Ack {
  readonly id: string;
  readonly seq_no: number;
  readonly rev: number;
  readonly created_at: string;
  readonly duplicate: boolean;
}
export interface Joined {
  readonly room_id: string;
  readonly role: string;
  readonly head_seq: number;
  readonly head_rev: number;
  readonly last_read_seq: number;
  readonly unread_count: number;
  readonly messages?: readonly Message[];
  readonly next_since?: number;
  readonly more?: boolean;
}
export interface Resumed {
  readonly rooms: readonly (Joined | (ErrorPayload & { readonly room_id: string }))[];
  readonly last: boolean;
}
export interface Synced {
  readonly messages: readonly Message[];
  readonly head_rev: number;
  readonly next_since: number;
  readonly more: boolean;
}
