/**
 * Tinode on Parley's own embedded PostgreSQL with the same settings. Accounts have a password and log in by token; rooms are group
 * topics that every account may join.
 */

import { execFile } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { freePort } from '../../src/lib/free-port.js';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.js';
import { lastLines } from '../../src/store/postgres-cluster.js';
import { roomIdOfTopic, topicOfRoomId } from '../load/dialect-tinode.js';
import { asMembers } from '../load/frame-read.js';
import { needString } from '../load/rest-client.js';
import { peerPrograms } from './go-peers.js';
import { servePeer } from './peer-server.js';
import { startProgram, whenReady } from './program.js';
import { openTinodeSession } from './tinode-session.js';

/** As many as Parley opens; the embedded PostgreSQL has 50. */
const CONNECTIONS = 25;

/** Tinode refuses members beyond it; the loader's largest room is far below. */
const MAX_MEMBERS = 100_000;

const DATABASE = 'tinode';

/** All rights that an ordinary member of a group has: join, read, write, presence, share. */
const MEMBER_RIGHTS = 'JRWPS';

/** A key of Tinode's: version 1, application and sequence 0, not root, and its signature. */
function apiKey(salt: Buffer): string {
  const head = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
  const signature = createHmac('md5', salt).update(head).digest();
  return Buffer.concat([head, signature]).toString('base64url');
}

const [server = '', initDatabase = ''] = peerPrograms('tinode');
const directory = process.env.DATA_DIR ?? '.';
const embedded = await startEmbeddedPostgres({ dataDir: directory, log: () => undefined });
const database = new URL(embedded.url);
database.pathname = `/${DATABASE}`;
const sql = postgres(database.href, { max: 2, onnotice: () => undefined });
// Here, since Tinode sets its own max_open_conns when the pool is already made.
database.search = `?sslmode=disable&pool_max_conns=${CONNECTIONS}`;

const port = await freePort({ host: '127.0.0.1', port: 0 });
const salt = randomBytes(32);
const configFile = join(directory, 'tinode.conf');
writeFileSync(
  configFile,
  JSON.stringify({
    listen: `127.0.0.1:${port}`,
    grpc_listen: '',
    ws_compression_disabled: true,
    api_key_salt: salt.toString('base64'),
    max_message_size: 131_072,
    max_subscriber_count: MAX_MEMBERS,
    auth_config: {
      basic: { min_login_length: 4, min_password_length: 6 },
      token: { expire_in: 86_400, serial_num: 1, key: randomBytes(32).toString('base64') },
    },
    store_config: {
      uid_key: randomBytes(16).toString('base64'),
      max_results: 1_024,
      use_adapter: 'postgres',
      adapters: {
        postgres: {
          dsn: database.href,
          sql_timeout: 10,
        },
      },
    },
    push: [{ name: 'stdout', config: { enabled: false } }],
  }),
);
await promisify(execFile)(initDatabase, ['--config', configFile, '--reset']);

// It logs each request, whatever the level: into a file, as a service does, and not through the bench.
const logFile = join(directory, 'tinode.log');
const program = startProgram(
  server,
  ['--config', configFile, '--static_data=-'],
  openSync(logFile, 'w'),
  directory,
);
program.failed.catch(() => console.error(lastLines(readFileSync(logFile, 'utf8'))));
await whenReady(program, () =>
  fetch(`http://127.0.0.1:${port}/v0/channels`).then(
    () => true,
    () => false,
  ),
);
const socketUrl = `http://127.0.0.1:${port}/v0/channels?apikey=${apiKey(salt)}`;

servePeer(
  {
    socketUrl,
    async register(username) {
      const session = await openTinodeSession(socketUrl);
      // A login has no dashes.
      const login = username.replaceAll('-', '_');
      const secret = Buffer.from(`${login}:${randomBytes(8).toString('hex')}`).toString('base64');
      const ctrl = await session.ask('acc', { user: 'new', scheme: 'basic', secret, login: true });
      session.close();
      const account = asMembers(ctrl.params);
      return { id: needString(account, 'user'), token: needString(account, 'token') };
    },
    async makeRoom(token, name) {
      const session = await openTinodeSession(socketUrl, token);
      const access = { auth: MEMBER_RIGHTS, anon: 'N' };
      const ctrl = await session.ask('sub', {
        topic: 'new',
        set: { desc: { public: { fn: name }, defacs: access } },
      });
      session.close();
      return roomIdOfTopic(needString(ctrl, 'topic'));
    },
    async headOf(roomId) {
      const [row] = await sql<{ head: number }[]>`
        select coalesce(max(seqid), 0)::int as head from messages where topic = ${topicOfRoomId(roomId)}`;
      return row?.head ?? 0;
    },
    async stop() {
      await sql.end();
      await program.stop();
      await embedded.stop();
    },
  },
  program,
);
