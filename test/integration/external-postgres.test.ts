import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createCluster } from '../helpers/postgres-cluster.js';
import { dataOf, newAccount, newRoom, restClient, wholeHistory } from '../helpers/rest-client.js';
import { startServer } from '../helpers/server-process.js';
import { connect } from '../helpers/ws-client.js';

/** Where Debian's packages put the versions of PostgreSQL that a machine has. */
const DEBIAN = '/usr/lib/postgresql';
const SUPPORTED = [15, 16, 17, 18]; // what the README promises

const found = existsSync(DEBIAN) ? readdirSync(DEBIAN).map(Number) : [];
const versions = SUPPORTED.filter((version) => found.includes(version));

describe.skipIf(versions.length === 0)(
  'a PostgreSQL of the system (skipped where the machine has none)',
  () => {
    test.each(versions.length === 0 ? [0] : versions)(
      'version %i given by DB_* serves every kind of change',
      {
        timeout: 120_000,
      },
      async (version) => {
        const directory = await mkdtemp(join(tmpdir(), 'parley-external-'));
        const cluster = await createCluster({
          directory,
          durable: false,
          nativeDir: join(DEBIAN, String(version)),
        });
        try {
          const { hostname, port } = new URL(cluster.url('postgres'));
          const server = await startServer({
            env: {
              DB_HOST: hostname,
              DB_PORT: port,
              DB_USER: 'parley',
              DB_PASSWORD: 'unused',
              DB_NAME: 'postgres',
            },
          });
          const rest = restClient(server.url);
          const ann = await newAccount(rest, 'ann');
          const room = await newRoom(rest, ann);
          const client = await connect({ wsUrl: server.wsUrl, token: ann.token, encoding: 'msgpack' });
          await client.ask('join_room', { since: 0 }, room.id);
          const sent = dataOf(await rest.send(ann.token, room.id, { content: 'one', metadata: { a: 1 } }));
          await client.ask('edit_message', { message_id: sent.id, content: 'two' }, room.id);
          await client.ask('delete_message', { message_id: sent.id }, room.id);
          await client.ask('send_message', { content: 'three' }, room.id);
          const history = await wholeHistory(rest, ann.token, room.id);
          expect(history.map(({ seq_no, rev, content }) => ({ seq_no, rev, content }))).toEqual([
            { seq_no: 1, rev: 3, content: '' },
            { seq_no: 2, rev: 4, content: 'three' },
          ]);
          expect(await server.stop()).toEqual({ code: 0, signal: null });
        } finally {
          await cluster.stop('immediate');
          await rm(directory, { recursive: true, force: true });
        }
      },
    );
  },
);
