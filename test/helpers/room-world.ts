import { type ErrorCode, Refusal } from '../../src/protocol/errors.js';
import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import { type ModerationService, moderationService } from '../../src/rooms/moderation-service.js';
import type { Announcer } from '../../src/rooms/ports.js';
import { type RoomService, roomService } from '../../src/rooms/room-service.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { moderationStore } from '../../src/store/moderation-store.js';
import { roomStore } from '../../src/store/room-store.js';
import { createTestDatabase } from './database.js';

/** Rooms on a database of the test's own, seen from two nodes, with ears for what is announced. */
export interface RoomWorld {
  readonly db: Db;
  /** The second node's pool. */
  readonly otherDb: Db;
  readonly service: RoomService;
  /** A second node: its own pool and turns, so that only the database orders the two. */
  readonly otherNode: RoomService;
  /** Moderation on the first node and on the second. */
  readonly moderation: ModerationService;
  readonly otherModeration: ModerationService;
  /** Fresh accounts, called a, b, c … in `heard` until the next call. */
  users(count: number): Promise<UserId[]>;
  /** A public room, its announcements forgotten. */
  publicRoom(creator: UserId, member_ids?: UserId[]): Promise<RoomId>;
  /** Writes messages as the log does: numbered, with the head moved. */
  say(room_id: RoomId, user_id: UserId, contents: readonly string[], mention?: UserId): Promise<void>;
  /** The room's member_count beside what there really is. */
  counted(room_id: RoomId): Promise<{ member_count: number; actual: number; admins: number } | undefined>;
  /** What was announced since the last call, a line each: to whom, what, about whom. */
  heard(): string[];
  close(): Promise<void>;
}

export async function openRoomWorld(): Promise<RoomWorld> {
  const database = await createTestDatabase();
  const db = openDatabase(database.url, 4, 'rooms-test');
  const otherDb = openDatabase(database.url, 4, 'rooms-test-other-node');
  let names = new Map<string, string>();
  let lines: string[] = [];
  const announcer = listener(
    (id) => names.get(id) ?? id,
    (line) => lines.push(line),
  );
  const heard = () => lines.splice(0);
  const node = (on: Db) => {
    const store = roomStore(on);
    const moderation = moderationService({ store, moderation: moderationStore(on), announcer });
    return { rooms: roomService({ store, announcer }), moderation };
  };
  const [here, there] = [node(db), node(otherDb)];
  const service = here.rooms;
  return {
    db,
    otherDb,
    service,
    otherNode: there.rooms,
    moderation: here.moderation,
    otherModeration: there.moderation,
    users: async (count) => {
      const ids = Array.from({ length: count }, () => newId<UserId>());
      names = new Map(ids.map((id, i) => [id, String.fromCharCode(97 + i)]));
      lines = [];
      await insertUsers(db, ids);
      return ids;
    },
    publicRoom: async (creator, member_ids = []) => {
      const { room } = await service.createRoom(creator, { type: 'public', name: 'general', member_ids });
      heard();
      return room.id as RoomId;
    },
    say: async (room_id, user_id, contents, mention) => {
      for (const content of contents) await insertMessage(db, room_id, user_id, content, mention);
    },
    counted: (room_id) => counted(db, room_id),
    heard,
    close: async () => {
      await Promise.all([db.end(), otherDb.end()]);
      await database.drop();
    },
  };
}

function listener(nameOf: (id: string) => string, hear: (line: string) => void): Announcer {
  return {
    toRoom: (_room, type, payload) => hear(`room ${type} ${about(payload, nameOf)}`.trim()),
    toUser: (user, _room, type) => hear(`user ${nameOf(user)} ${type}`),
    revoke: (_room, user) => hear(`revoke ${user === null ? 'all' : nameOf(user)}`),
    standingChanged: (_room, user) => hear(`standing ${user === null ? 'all' : nameOf(user)}`),
  };
}

function about(payload: unknown, nameOf: (id: string) => string): string {
  const { user_id, role, muted_until } = payload as Record<string, string | null | undefined>;
  const muted = muted_until ? 'muted' : null;
  return [user_id && nameOf(user_id), role, muted].filter(Boolean).join(' ');
}

async function insertUsers(db: Db, ids: readonly UserId[]): Promise<void> {
  const names = ids.map((id) => `u${id.replaceAll('-', '')}`);
  await db`
    insert into users (id, username, email, password_hash)
    select id, name, name || '@x.io', ''
    from unnest(${[...ids]}::uuid[], ${names}::text[]) as new (id, name)`;
}

async function insertMessage(
  db: Db,
  room_id: RoomId,
  user_id: UserId,
  content: string,
  mention: UserId | undefined,
): Promise<void> {
  await db`
    with head as (
      update room_heads
      set head_seq = head_seq + 1, head_rev = head_rev + 1, last_activity_at = clock_timestamp()
      where room_id = ${room_id}
      returning head_seq, head_rev
    )
    insert into messages (id, room_id, user_id, seq_no, rev, created_rev, content, mentions, body_hash,
      created_at, updated_at)
    select ${newId()}::uuid, ${room_id}::uuid, ${user_id}::uuid, head_seq, head_rev, head_rev, ${content}::text,
      ${mention === undefined ? null : [mention]}::uuid[], ''::bytea, now(), now()
    from head`;
}

async function counted(db: Db, room_id: RoomId) {
  const [row] = await db<{ member_count: number; actual: number; admins: number }[]>`
    select r.member_count, count(rm.user_id) as actual, count(*) filter (where rm.role = 'admin') as admins
    from rooms r left join room_members rm on rm.room_id = r.id
    where r.id = ${room_id}
    group by r.id`;
  return row;
}

/** The code of a refusal, with the field it names; rethrows anything else. */
export async function refused(attempt: Promise<unknown>): Promise<ErrorCode | `${ErrorCode} ${string}`> {
  const reason = await attempt.then(
    () => new Error('not refused'),
    (error: unknown) => error,
  );
  if (!(reason instanceof Refusal)) throw reason;
  const { code, field } = reason.problem;
  return field === undefined ? code : `${code} ${field}`;
}
