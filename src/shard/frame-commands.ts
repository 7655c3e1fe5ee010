import type { MessageReader } from '../http/message-reading-port.js';
import type { Grant, ToShard } from '../ipc/messages.js';
import { type ErrorCode, Refusal } from '../protocol/errors.js';
import { answer, encodeFrame, errorFrame, type ServerFrame } from '../protocol/frames.js';
import { type MessageId, type RoomId, shardOf } from '../protocol/ids.js';
import {
  type DeletePayload,
  type EditPayload,
  type JoinPayload,
  type ReactionPayload,
  type ReadBody,
  type ResumePayload,
  type SendBody,
  SYNC_LIMIT_MAX,
  type SyncPayload,
} from '../protocol/requests.js';
import type { AttachmentViews } from '../rooms/attachment-view.js';
import type { JoinDone, JoinOutcome, JoinRequest, Joins } from '../rooms/joins.js';
import type { MessageService } from '../rooms/message-service.js';
import type { ReadMark } from '../rooms/ports.js';
import type { JoinState } from '../rooms/reading-port.js';
import type { Typing } from '../rooms/typing.js';
import type { Outbox } from './outbox.js';
import type { RoomTurns } from './room-turns.js';

export type FrameRequest = Extract<ToShard, { t: 'frame' }>;

export interface FrameServices {
  readonly outbox: Outbox;
  /** Makes the links of attachments. */
  readonly linked: AttachmentViews['linked'];
  readonly messages: MessageService;
  readonly joins: Joins;
  readonly reader: Pick<MessageReader, 'roomOf'>;
  readonly markRead: (mark: ReadMark) => Promise<void>;
  readonly typing: Pick<Typing, 'heard'>;
  readonly turns: RoomTurns;
  readonly shard: number;
  readonly shards: number;
}

interface ReplyOptions {
  readonly subscribe?: readonly Grant[];
  readonly unsubscribe?: RoomId;
  readonly refused?: true;
  readonly failed?: true;
}

/** Whether a request was answered already, because its deadline passed: what it comes to is dropped. */
export interface Liveness {
  late: boolean;
}

/** Answers a request of a socket with one frame and ends the request. */
export function reply(
  outbox: Outbox,
  request: FrameRequest,
  frame: ServerFrame,
  options: ReplyOptions = {},
): void {
  const at = outbox.bytes(encodeFrame(request.enc, frame));
  outbox.post({ t: 'reply', id: request.id, conn: request.conn, at, done: true, ...options });
}

/** The codes that aren't the client's doing: they don't make a flood of his sends. */
const SERVERS_OWN: ReadonlySet<ErrorCode> = new Set(['internal', 'overloaded', 'unavailable']);

/** Answers with an `error` frame. Refused sends are marked, so that the front can count a flood. */
export function replyError(outbox: Outbox, request: FrameRequest, refusal: Refusal): void {
  const { code } = refusal.problem;
  const refused = code === 'rate_limited' || (request.type === 'send_message' && !SERVERS_OWN.has(code));
  reply(outbox, request, errorFrame(request, refusal), { failed: true, ...(refused ? { refused } : {}) });
}

type Respond = (frame: ServerFrame, options?: ReplyOptions) => void;

/** Runs one command of a socket; the payload has passed its schema in the front. @throws Refusal */
export async function runFrame(
  request: FrameRequest,
  services: FrameServices,
  liveness: Liveness,
): Promise<void> {
  const { messages } = services;
  const respond: Respond = (frame, options) => {
    if (!liveness.late) reply(services.outbox, request, services.linked(frame), options);
  };
  const { caller } = request;
  const who = {
    user_id: caller.user_id,
    encoding: request.enc,
    waiting: () => !liveness.late,
  };
  /** In its turn, unless its time has run out before. */
  const join = (rooms: readonly JoinRequest[], done: JoinDone): Promise<void> =>
    services.turns.run(
      request.conn,
      rooms.map(({ room_id }) => room_id),
      () => (liveness.late ? undefined : services.joins.join(who, rooms, done)),
    );
  switch (request.type) {
    case 'send_message': {
      const over = request.over === null ? null : request.over.retry_after_ms;
      const sent = await messages.send(caller, roomOf(request), request.payload as SendBody, over);
      const { id, seq_no, rev, created_at } = sent.message;
      const ack = { id, seq_no, rev, created_at, duplicate: sent.duplicate };
      return respond(answer('message_ack', request, ack));
    }
    case 'edit_message': {
      const { message_id, content } = request.payload as EditPayload;
      return change(request, services, respond, message_id as MessageId, (room_id, id) =>
        messages.edit(caller, room_id, id, content),
      );
    }
    case 'delete_message': {
      const { message_id } = request.payload as DeletePayload;
      return change(request, services, respond, message_id as MessageId, (room_id, id) =>
        messages.delete(caller, room_id, id),
      );
    }
    case 'add_reaction':
    case 'remove_reaction': {
      const { message_id, emoji } = request.payload as ReactionPayload;
      const react = request.type === 'add_reaction' ? messages.addReaction : messages.removeReaction;
      return change(request, services, respond, message_id as MessageId, (room_id, id) =>
        react(caller, room_id, id, emoji),
      );
    }
    case 'join_room': {
      const { since } = request.payload as JoinPayload;
      return join([{ room_id: roomOf(request), since }], ([outcome], states) => {
        if (outcome === undefined) throw new Error('a join without outcome');
        if ('code' in outcome) {
          const { room_id: _, ...problem } = outcome;
          return respond(answer('error', request, problem), { failed: true });
        }
        respond(answer('joined', request, outcome), { subscribe: granted([outcome], states) });
      });
    }
    case 'resume': {
      const rooms = (request.payload as ResumePayload).rooms as { room_id: RoomId; since?: number }[];
      return join(rooms, (outcomes, states) => {
        const payload = { rooms: outcomes, last: false };
        respond(answer('resumed', request, payload), { subscribe: granted(outcomes, states) });
      });
    }
    case 'sync': {
      const { since, limit } = request.payload as SyncPayload;
      const synced = await services.joins.sync(
        caller.user_id,
        roomOf(request),
        since,
        limit ?? SYNC_LIMIT_MAX,
      );
      return respond(answer('synced', request, synced));
    }
    case 'leave_room': {
      const room_id = roomOf(request);
      const leave = () => respond(answer('left', request, {}), { unsubscribe: room_id });
      return services.turns.run(request.conn, [room_id], leave);
    }
    case 'mark_read': {
      const room_id = roomOf(request);
      await messages.checkReader(caller, room_id);
      const { seq_no } = request.payload as ReadBody;
      await services.markRead({ room_id, user_id: caller.user_id, seq_no });
      return respond(answer('ok', request, {}));
    }
    case 'user_typing':
    case 'user_stopped_typing':
      await services.typing.heard(caller, roomOf(request), request.type === 'user_typing');
      if (!liveness.late) services.outbox.post({ t: 'done', id: request.id });
      return;
    case 'authenticate':
    case 'ping':
      throw new Error(`${request.type} is answered by the front`);
    default:
      return request.type satisfies never;
  }
}

/** A change of a message, run by the shard of the message's room. */
async function change(
  request: FrameRequest,
  services: FrameServices,
  respond: Respond,
  id: MessageId,
  apply: (room_id: RoomId, id: MessageId) => Promise<{ readonly rev: number }>,
): Promise<void> {
  const room_id = request.room_id ?? (await services.reader.roomOf(id));
  if (room_id === null) throw new Refusal('not_found');
  if (shardOf(room_id, services.shards) !== services.shard) {
    services.outbox.post({ t: 'reroute', id: request.id, room_id });
    return;
  }
  const { rev } = await apply(room_id, id);
  respond(answer('ok', request, { message_id: id, rev }));
}

function granted(outcomes: readonly JoinOutcome[], states: ReadonlyMap<RoomId, JoinState>): Grant[] {
  return outcomes.flatMap((outcome) => {
    if ('code' in outcome) return [];
    const { room_id, head_rev } = outcome;
    const { member_count = 0, joined_ms = 0 } = states.get(room_id) ?? {};
    return [{ room_id, rev: head_rev, members: member_count, joined_ms }];
  });
}

function roomOf(request: FrameRequest): RoomId {
  if (request.room_id === null) throw new Refusal('bad_request', { field: 'room_id' });
  return request.room_id;
}
