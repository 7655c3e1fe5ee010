import { expect, test } from 'vitest';
import { deferred } from '../../src/lib/deferred.js';
import { openDatabase } from '../../src/store/client.js';
import { startLink } from '../helpers/cuttable-link.js';
import { until } from '../helpers/deadline.js';
import { newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { startServerWithDatabase } from '../helpers/server-process.js';

/** Ends what asks for a statement's description; the statement's other half is to follow. */
const FLUSH = Buffer.from('H\0\0\0\x04');

test('a node that is cut off in the middle of a statement doesn’t hold a room for longer than seconds', {
  timeout: 60_000,
}, async () => {
  const server = await startServerWithDatabase();
  const rest = restClient(server.url);
  const owner = await newAccount(rest);
  const { id } = await newRoom(rest, owner);
  const send = async () => (await rest.send(owner.token, id, { content: 'from the other node' })).status;
  const { hostname, port } = new URL(server.database.url);
  const link = await startLink({ host: hostname, port: Number(port) });
  const through = Object.assign(new URL(server.database.url), { host: `127.0.0.1:${link.port}` }).href;
  const node = openDatabase(through, 1, 'parley-shard-9');
  const locked = deferred<void>();
  const transaction = node
    .begin(async (tx) => {
      await tx`select from room_heads where room_id = ${id} for update`;
      link.cutAfter(FLUSH);
      locked.resolve();
      await tx`select ${1}::int + 1`;
    })
    .catch(() => undefined);
  await locked.promise;
  expect(await send()).toBe(503);
  await until(async () => (await send()) === 201, 'the room being free', 20_000);
  await until(() => server.log().some(({ event }) => event === 'half_statements_ended'), 'what ended it');
  await transaction;
  await node.end({ timeout: 0 });
  link.close();
  await server.stop();
});
