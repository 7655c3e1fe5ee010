import { Refusal } from '../protocol/errors.js';
import { isUuid, type MessageId, type RoomId, shardOf } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';
import type { EditBody, ReactionBody, ReadBody, SendBody } from '../protocol/requests.js';
import type { MessageService } from '../rooms/message-service.js';
import type { ReadMark } from '../rooms/ports.js';
import type { MessageReader } from './message-reading-port.js';
import { PAGE_LIMIT_DEFAULT, type RouteName } from './routes.js';
import { callerOf, type HttpAnswer, type HttpCall, type HttpHandler } from './types.js';

type MessageRoute = Extract<
  RouteName,
  | 'list_messages'
  | 'send_message'
  | 'mark_read'
  | 'get_message'
  | 'edit_message'
  | 'delete_message'
  | 'add_reaction'
  | 'remove_reaction'
  | 'pin_message'
  | 'unpin_message'
  | 'list_pins'
  | 'list_edits'
  | 'list_thread'
>;

const CURSORS = ['before', 'after', 'around'] as const;
type CursorKind = (typeof CURSORS)[number];

/** REST over messages. Bodies and queries have passed their route's schemas. */
export function messageHandlers(ports: {
  readonly messages: MessageService;
  readonly reader: MessageReader;
  readonly markRead: (mark: ReadMark) => Promise<void>;
  /** This shard and how many there are: changes go through the shard of their room. */
  readonly shard: number;
  readonly shards: number;
}): Record<MessageRoute, HttpHandler> {
  const { messages, reader, markRead, shard, shards } = ports;

  /** Runs a change where the message's room is at home. */
  async function inRoomOf(
    call: HttpCall,
    change: (room_id: RoomId, id: MessageId) => Promise<{ readonly message: Message }>,
  ): ReturnType<HttpHandler> {
    const id = messageOf(call);
    const room_id = await reader.roomOf(id);
    if (room_id === null) throw new Refusal('not_found');
    if (shardOf(room_id, shards) !== shard) return { reroute: room_id };
    return { status: 200, data: (await change(room_id, id)).message };
  }

  /** Answers of the message that the path names, to somebody who may read it. */
  async function readable(
    call: HttpCall,
    answer: (found: { message: Message; room_id: RoomId; id: MessageId }) => Promise<HttpAnswer>,
  ): ReturnType<HttpHandler> {
    const id = messageOf(call);
    const found = await reader.messageById(id);
    if (found === null) throw new Refusal('not_found');
    // Only the room's own shard hears at once who may not read any more.
    if (shardOf(found.room_id, shards) !== shard) return { reroute: found.room_id };
    await messages.checkReader(callerOf(call), found.room_id);
    return answer({ ...found, id });
  }

  /** A cursor's number: it is one, or the id of a message in the room. */
  async function seqAt(room_id: RoomId, field: string, text: string): Promise<number> {
    const seq = isUuid(text) ? await reader.seqOf(room_id, text as MessageId) : Number(text);
    if (seq === null) throw new Refusal('bad_request', { field, sentence: 'No such message.' });
    return seq;
  }

  return {
    list_messages: async (call) => {
      const room_id = roomOf(call);
      await messages.checkReader(callerOf(call), room_id);
      const { kind, text, limit } = historyQuery(call.query);
      const cursor = text === undefined ? null : { kind, seq: await seqAt(room_id, kind, text) };
      const page = await reader.history(room_id, { cursor, limit });
      return { status: 200, data: page, page: await pageAfter(room_id, page, kind, limit) };
    },
    send_message: async (call) => {
      const over = call.over === null ? null : call.over.retry_after_ms;
      const { message, duplicate } = await messages.send(
        callerOf(call),
        roomOf(call),
        call.body as SendBody,
        over,
      );
      return { status: duplicate ? 200 : 201, data: message };
    },
    mark_read: async (call) => {
      const room_id = roomOf(call);
      const caller = callerOf(call);
      await messages.checkReader(caller, room_id);
      const { seq_no } = call.body as ReadBody;
      await markRead({ room_id, user_id: caller.user_id, seq_no });
      return { status: 200, data: {} };
    },
    get_message: (call) => readable(call, async ({ message }) => ({ status: 200, data: message })),
    edit_message: (call) =>
      inRoomOf(call, (room_id, id) =>
        messages.edit(callerOf(call), room_id, id, (call.body as EditBody).content),
      ),
    delete_message: (call) => inRoomOf(call, (room_id, id) => messages.delete(callerOf(call), room_id, id)),
    add_reaction: (call) =>
      inRoomOf(call, (room_id, id) =>
        messages.addReaction(callerOf(call), room_id, id, (call.body as ReactionBody).emoji),
      ),
    remove_reaction: (call) =>
      inRoomOf(call, (room_id, id) =>
        messages.removeReaction(callerOf(call), room_id, id, call.params.emoji ?? ''),
      ),
    pin_message: (call) => inRoomOf(call, (room_id, id) => messages.pin(callerOf(call), room_id, id)),
    unpin_message: (call) => inRoomOf(call, (room_id, id) => messages.unpin(callerOf(call), room_id, id)),
    list_pins: async (call) => {
      const room_id = roomOf(call);
      await messages.checkReader(callerOf(call), room_id);
      return whole(await reader.pinsOf(room_id));
    },
    list_edits: (call) => readable(call, async ({ id }) => whole(await reader.editsOf(id))),
    list_thread: (call) =>
      readable(call, async ({ room_id, id }) => {
        const { limit = PAGE_LIMIT_DEFAULT, after = '0' } = (call.query ?? {}) as {
          limit?: number;
          after?: string;
        };
        const replies = await reader.thread(id, await seqAt(room_id, 'after', after), limit + 1);
        const data = replies.slice(0, limit);
        const has_more = replies.length > limit;
        const next = has_more ? String(data.at(-1)?.seq_no) : null;
        return { status: 200, data, page: { has_more, next } };
      }),
  };

  /**
   * The cursor that goes on in the direction of the one used: `after` upwards, all others down. That of `around` is the
   * midst of the page that ends below this one; the last such page stays full and repeats some.
   */
  async function pageAfter(
    room_id: RoomId,
    page: readonly Message[],
    kind: CursorKind,
    limit: number,
  ): Promise<NonNullable<HttpAnswer['page']>> {
    if (kind === 'after') {
      const top = page[0]?.seq_no;
      const more =
        top !== undefined &&
        (await reader.history(room_id, { cursor: { kind, seq: top }, limit: 1 })).length > 0;
      return { has_more: more, next: more ? String(top) : null };
    }
    const bottom = page.at(-1)?.seq_no ?? 1; // numbers have no gap: above 1 there is more
    const next = kind === 'around' ? Math.max(0, bottom - 1 - Math.floor(limit / 2)) : bottom;
    return { has_more: bottom > 1, next: bottom > 1 ? String(next) : null };
  }
}

/** A list that is never cut into pages: it has a bound of its own. */
function whole(data: readonly unknown[]): HttpAnswer {
  return { status: 200, data, page: { has_more: false, next: null } };
}

function historyQuery(query: unknown): { kind: CursorKind; text: string | undefined; limit: number } {
  const given = (query ?? {}) as Partial<Record<CursorKind, string>> & { limit?: number };
  const used = CURSORS.filter((kind) => given[kind] !== undefined);
  if (used.length > 1) {
    throw new Refusal('bad_request', { field: used[1], sentence: 'Give one of before, after, around.' });
  }
  const kind = used[0] ?? 'before';
  return { kind, text: given[kind], limit: given.limit ?? PAGE_LIMIT_DEFAULT };
}

function roomOf(call: HttpCall): RoomId {
  return call.params.roomId as RoomId;
}

function messageOf(call: HttpCall): MessageId {
  return call.params.messageId as MessageId;
}
