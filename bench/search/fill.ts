import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';
import type { NewMessage } from '../../src/rooms/ports.js';
import type { Db } from '../../src/store/client.js';
import { mergeWords, roomsBehind, writeWords } from '../../src/store/search-index.js';
import type { Random } from '../load/random.js';
import { ROOM_SIZES, type RoomKind, roomPicker, sentence } from './corpus.js';

const BATCH = 2_000; // rows in one statement
const ROOMS_AT_ONCE = 20;

export interface Corpus {
  readonly author: UserId;
  readonly rooms: Readonly<Record<RoomKind, readonly RoomId[]>>;
}

/** An author and empty rooms. */
export async function createRooms(db: Db): Promise<Corpus> {
  const author = newId<UserId>();
  await db`
    insert into users (id, username, email, password_hash) values (${author}, 'author', 'author@example.org', '')`;
  const rooms = Object.fromEntries(
    ROOM_SIZES.map(({ kind, rooms: count }) => [kind, Array.from({ length: count }, () => newId<RoomId>())]),
  ) as unknown as Corpus['rooms'];
  await db`
    insert into rooms (id, name, type, created_by)
    select id, 'bench', 'public', ${author} from unnest(${Object.values(rooms).flat()}::uuid[]) as new (id)`;
  await db`insert into room_heads (room_id) select id from rooms`;
  return { author, rooms };
}

/** The rooms of an earlier run on the same database, known by their sizes; null on an empty one. */
export async function corpusOf(db: Db): Promise<Corpus | null> {
  const heads = await db<{ room_id: RoomId }[]>`
    select room_id from room_heads where head_seq > 0 order by head_seq desc`;
  const [user] = await db<{ id: UserId }[]>`select id from users where username = 'author'`;
  if (user === undefined || heads.length === 0) return null;
  const ids = heads.map(({ room_id }) => room_id);
  const rooms = ROOM_SIZES.map(({ kind, rooms: count }) => [kind, ids.splice(0, count)]);
  return { author: user.id, rooms: Object.fromEntries(rooms) as unknown as Corpus['rooms'] };
}

/** Messages as the batch writer hands them to the log. */
export function newMessages({ author, rooms }: Corpus, count: number, random: Random): NewMessage[] {
  const pick = roomPicker(random);
  return Array.from({ length: count }, () => {
    const { kind, index } = pick();
    return {
      id: newId(),
      room_id: rooms[kind][index] as RoomId,
      user_id: author,
      content: sentence(random),
      metadata: null,
      reply_to: null,
      thread_root: null,
      mentions: [],
      body_hash: '00'.repeat(32),
    };
  });
}

/** Writes that many messages, numbered as the log would, and lets PostgreSQL tidy up. */
export async function fill(db: Db, corpus: Corpus, count: number, random: Random): Promise<void> {
  const heads = new Map<RoomId, number>();
  for (let written = 0; written < count; written += BATCH) {
    const batch = newMessages(corpus, Math.min(BATCH, count - written), random);
    const numbers = batch.map(({ room_id }) => {
      const seq = (heads.get(room_id) ?? 0) + 1;
      heads.set(room_id, seq);
      return seq;
    });
    await db`
      insert into messages (id, room_id, user_id, seq_no, rev, created_rev, content, body_hash, created_at, updated_at)
      select id, room_id, ${corpus.author}::uuid, seq_no, seq_no, seq_no, content, ''::bytea, now(), now()
      from unnest(
        ${batch.map(({ id }) => id)}::uuid[], ${batch.map(({ room_id }) => room_id)}::uuid[],
        ${numbers}::bigint[], ${batch.map(({ content }) => content)}::text[]
      ) as new (id, room_id, seq_no, content)`;
  }
  await db`
    update room_heads h set head_seq = new.head, head_rev = new.head
    from unnest(${[...heads.keys()]}::uuid[], ${[...heads.values()]}::bigint[]) as new (room_id, head)
    where h.room_id = new.room_id`;
  await writeAllWords(db);
  await db.unsafe('vacuum analyze messages');
  await db.unsafe('vacuum analyze message_words');
}

/** Writes the words of all messages that have none, as the shards do beside their work. */
export async function writeAllWords(db: Db): Promise<void> {
  for (;;) {
    const behind = await roomsBehind(db, ROOMS_AT_ONCE);
    if (behind.length === 0) break;
    await writeWords(
      db,
      behind.map(({ room_id }) => room_id),
      BATCH,
    );
    await mergeWords(db);
  }
}
