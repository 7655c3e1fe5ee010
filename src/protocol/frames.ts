import type { TSchema } from 'typebox';
import { type ErrorCode, problem, Refusal } from './errors.js';
import { isUuid, type RoomId } from './ids.js';
import {
  AuthenticatePayload,
  DeletePayload,
  EditPayload,
  EmptyPayload,
  JoinPayload,
  ReactionPayload,
  ReadBody,
  ResumePayload,
  SendBody,
  SyncPayload,
} from './requests.js';
import { parseStrictJson } from './strict-json.js';
import { encodeMsgpack, parseStrictMsgpack } from './strict-msgpack.js';
import { type Validate, validator } from './validate.js';

/** The two encodings of a WebSocket, by their subprotocol's last part. */
export const Encoding = { json: 'json', msgpack: 'msgpack' } as const;
export type Encoding = (typeof Encoding)[keyof typeof Encoding];

/** A client's correlation value, repeated in the answer. */
export type Ref = string | number;
const REF_MAX_CHARACTERS = 64; // PROTOCOL §3

interface FrameSpec {
  readonly payload: TSchema;
  /** Whether `room_id` must, may or need not be given. */
  readonly room: 'required' | 'optional' | 'none';
}

/** Every frame a client may send, with the schema of its payload. */
export const CLIENT_FRAMES = {
  authenticate: { payload: AuthenticatePayload, room: 'none' },
  ping: { payload: EmptyPayload, room: 'none' },
  join_room: { payload: JoinPayload, room: 'required' },
  leave_room: { payload: EmptyPayload, room: 'required' },
  resume: { payload: ResumePayload, room: 'none' },
  sync: { payload: SyncPayload, room: 'required' },
  send_message: { payload: SendBody, room: 'required' },
  edit_message: { payload: EditPayload, room: 'optional' },
  delete_message: { payload: DeletePayload, room: 'optional' },
  add_reaction: { payload: ReactionPayload, room: 'optional' },
  remove_reaction: { payload: ReactionPayload, room: 'optional' },
  mark_read: { payload: ReadBody, room: 'required' },
  user_typing: { payload: EmptyPayload, room: 'required' },
  user_stopped_typing: { payload: EmptyPayload, room: 'required' },
} as const satisfies Record<string, FrameSpec>;

export type ClientFrameType = keyof typeof CLIENT_FRAMES;

const validators = Object.fromEntries(
  Object.entries(CLIENT_FRAMES).map(([type, spec]) => [type, validator(spec.payload)]),
) as Record<ClientFrameType, Validate<unknown>>;

/** A frame whose payload has passed its schema; `payload` is that schema's type. */
export interface ClientFrame {
  readonly type: ClientFrameType;
  readonly room_id: RoomId | null;
  readonly ref: Ref | null;
  readonly payload: unknown;
}

/** A frame that can't be served, with the `ref` it carried where that could be read. */
export class BadFrame extends Refusal {
  constructor(
    readonly ref: Ref | null,
    details: ConstructorParameters<typeof Refusal>[1],
  ) {
    super('bad_request', details);
  }
}

/**
 * Decodes and checks a client's frame.
 * @throws BadFrame
 */
export function parseFrame(encoding: Encoding, isBinary: boolean, bytes: ArrayBuffer): ClientFrame {
  if (isBinary !== (encoding === Encoding.msgpack)) {
    throw new BadFrame(null, {
      sentence: encoding === Encoding.msgpack ? 'Send binary frames.' : 'Send text frames.',
    });
  }
  let frame: unknown;
  const keep = (value: unknown) => {
    frame = value;
  };
  try {
    if (isBinary) parseStrictMsgpack(new Uint8Array(bytes), keep);
    else parseStrictJson(Buffer.from(bytes).toString('utf8'), 'payload', keep);
  } catch (error) {
    if (error instanceof Refusal) {
      const ref = (frame as { ref?: unknown } | null | undefined)?.ref ?? null;
      throw new BadFrame(isRef(ref) ? ref : null, {
        field: error.problem.field,
        sentence: error.problem.error,
      });
    }
    throw new BadFrame(null, { sentence: 'The frame cannot be decoded.' });
  }
  return checkFrame(frame);
}

function checkFrame(frame: unknown): ClientFrame {
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) {
    throw new BadFrame(null, { sentence: 'A frame is an object.' });
  }
  const { type, room_id = null, ref = null, payload = {} } = frame as Record<string, unknown>;
  if (!isRef(ref)) {
    throw new BadFrame(null, {
      field: 'ref',
      sentence: 'ref is a string of at most 64 characters or an integer.',
    });
  }
  if (typeof type !== 'string' || !Object.hasOwn(CLIENT_FRAMES, type)) {
    throw new BadFrame(ref, { field: 'type', sentence: 'Unknown type of frame.' });
  }
  const known = type as ClientFrameType;
  const { room } = CLIENT_FRAMES[known];
  if (room_id === null) {
    if (room === 'required') throw new BadFrame(ref, { field: 'room_id', sentence: 'Missing: room_id' });
  } else if (typeof room_id !== 'string' || !isUuid(room_id)) {
    throw new BadFrame(ref, { field: 'room_id', sentence: 'room_id is a UUID in lower case.' });
  }
  try {
    return { type: known, room_id: room_id as RoomId | null, ref, payload: validators[known](payload) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new BadFrame(ref, { field: error.problem.field, sentence: error.problem.error });
  }
}

function isRef(ref: unknown): ref is Ref | null {
  if (ref === null) return true;
  if (typeof ref !== 'string') return Number.isSafeInteger(ref);
  return ref.length <= REF_MAX_CHARACTERS || Array.from(ref).length <= REF_MAX_CHARACTERS;
}

/** A frame from the server. `rev` stands on room events that belong to the room's log only. */
export interface ServerFrame {
  readonly type: string;
  readonly room_id?: RoomId;
  readonly rev?: number;
  readonly ref?: Ref;
  readonly payload?: unknown;
  readonly timestamp: number;
}

/**
 * Encodes a server's frame. In MessagePack the timestamp, which is beyond 32 bits, is a float 64 of integral value: as a
 * uint 64 JavaScript's decoders would make a BigInt of it, which no arithmetic and no JSON takes.
 */
export function encodeFrame(encoding: Encoding, frame: ServerFrame): string | Uint8Array {
  if (encoding === Encoding.json) return JSON.stringify(frame);
  return encodeMsgpack(frame);
}

/** An answer to a request: the request's `ref` is repeated where it had one. */
export function answer(
  type: string,
  request: { readonly ref: Ref | null; readonly room_id?: RoomId | null },
  payload: unknown,
): ServerFrame {
  return {
    type,
    ...(request.room_id ? { room_id: request.room_id } : {}),
    ...(request.ref === null ? {} : { ref: request.ref }),
    payload,
    timestamp: Date.now(),
  };
}

/** An `error` frame that answers a request with a code of the catalogue. */
export function errorFrame(
  request: { readonly ref: Ref | null; readonly room_id?: RoomId | null },
  code: ErrorCode | Refusal,
): ServerFrame {
  return answer('error', request, code instanceof Refusal ? code.problem : problem(code));
}
