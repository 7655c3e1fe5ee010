/** Where a Socket.IO baseline puts a message before it is acknowledged and delivered. */
import postgres from 'postgres';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.js';
import type { Account, Sent } from './room-book.js';

export interface Storage {
  insert(sent: Sent, account: Account): Promise<void>;
  close(): Promise<void>;
}

/** What postgres.js opens by itself, and PostgreSQL on two cores has no use for more. */
const CONNECTIONS = 10;

/**
 * One INSERT a message, in Parley's own embedded PostgreSQL with the same settings. The table has a primary key and the one
 * index that history needs: fewer than Parley's, and no full-text search.
 */
export async function openStorage(dataDir: string): Promise<Storage> {
  const embedded = await startEmbeddedPostgres({ dataDir, log: () => undefined });
  const sql = postgres(embedded.url, { max: CONNECTIONS, onnotice: () => undefined });
  await sql`
    create table messages (
      id uuid primary key,
      room_id uuid not null,
      user_id uuid not null,
      content text not null,
      created_at timestamptz not null default now()
    )`;
  await sql`create index on messages (room_id, created_at desc)`;
  return {
    async insert(sent, account) {
      await sql`
        insert into messages (id, room_id, user_id, content)
        values (${sent.id}, ${sent.roomId}, ${account.id}, ${sent.content})`;
    },
    async close() {
      await sql.end();
      await embedded.stop();
    },
  };
}

/** No database: Redis' stream is all that remembers. */
export const NO_STORAGE: Storage = {
  insert: () => Promise.resolve(),
  close: () => Promise.resolve(),
};
