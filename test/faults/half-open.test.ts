import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CuttableLink, startLink } from '../helpers/cuttable-link.js';
import { until } from '../helpers/deadline.js';
import { metric } from '../helpers/nodes.js';
import { dataOf, newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { enter } from '../helpers/signals.js';

/** A silent peer is dropped after 60 s, presence ends within 10 s more (PROTOCOL §3); a busy machine gets as much again. */
const DROPPED_WITHIN_MS = 120_000;

let server: Server;
let link: CuttableLink;

beforeAll(async () => {
  server = await startServerWithDatabase({ SHARDS: '1' });
  link = await startLink({ host: '127.0.0.1', port: server.port });
});
afterAll(async () => {
  link?.close();
  await server?.stop();
});

test('a peer that is gone without a word is dropped, is present no more, and nobody else notices', {
  timeout: 180_000,
}, async () => {
  const rest = restClient(server.url);
  const [ann, ben, cat] = [
    await newAccount(rest, 'ann'),
    await newAccount(rest, 'ben'),
    await newAccount(rest, 'cat'),
  ];
  const { id: room } = await newRoom(rest, ann, [ben, cat]);
  const annEar = await enter(server.wsUrl, ann, room);
  const catEar = await enter(server.wsUrl, cat, room, 'msgpack'); // says nothing, and answers pings
  const benEar = await enter(`ws://127.0.0.1:${link.port}/api/v1/ws`, ben, room);
  await annEar.hears('user_online', ben);
  expect(await metric(server, 'parley_websocket_connections')).toBe(3);

  link.cut();
  const missed = dataOf(await rest.send(ann.token, room, { content: 'while he is cut off' }));
  await annEar.hears('user_offline', ben, DROPPED_WITHIN_MS);
  await until(
    async () => (await metric(server, 'parley_websocket_connections')) === 2,
    'two sockets that are left',
  );
  expect(dataOf(await rest.get<{ status: string }>(`/users/${ben.id}`, ann.token)).status).toBe('offline');

  // Those who are there have neither been closed nor told of anybody else, and hear what is said.
  await annEar.ask('send_message', { content: 'still here?' }, room);
  await catEar.next(
    ({ type, payload }) => type === 'new_message' && isSaid(payload, 'still here?'),
    'a message',
  );
  expect(
    [annEar, catEar].flatMap((ear) => ear.heard('user_offline', room)).map(({ payload }) => payload.user_id),
  ).toEqual([ben.id, ben.id]);
  expect(benEar.frames.some(({ type }) => type === 'new_message')).toBe(false);
  benEar.socket.terminate();

  link.heal();
  const back = await enter(`ws://127.0.0.1:${link.port}/api/v1/ws`, ben, room);
  await annEar.hears('user_online', ben);
  const synced = await back.ask<{ messages: { id: string }[] }>('sync', { since: 0, limit: 10 }, room);
  expect(synced.messages.map(({ id }) => id)).toContain(missed.id);
  await Promise.all([annEar, catEar, back].map((ear) => ear.close()));
});

function isSaid(payload: Readonly<Record<string, unknown>>, content: string): boolean {
  return (payload.message as { content?: string } | undefined)?.content === content;
}
