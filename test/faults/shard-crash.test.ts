import { expect, test } from 'vitest';
import { shardOf } from '../../src/protocol/ids.js';
import { DEADLINE_MS, until } from '../helpers/deadline.js';
import { startLoad } from '../helpers/load.js';
import { startServerWithDatabase } from '../helpers/server-process.js';

const SHARDS = 2;
const CRASHES = 6;
const ROOMS = 8; // so many that every shard has one

test('a crashed shard thread is started again, sockets stay, and nothing acknowledged is lost', {
  timeout: 120_000,
}, async () => {
  const server = await startServerWithDatabase({ SHARDS: String(SHARDS), PARLEY_TEST_FAULTS: '1' });
  const load = await startLoad({ server: () => server, members: 4, rooms: ROOMS, ordered: false });
  expect(new Set(load.roomIds.map((roomId) => shardOf(roomId, SHARDS))).size).toBe(SHARDS);
  const sockets = load.members.map((member) => member.client());

  for (let crash = 0; crash < CRASHES; crash++) {
    const shard = crash % SHARDS;
    const linesBefore = server.lines.length;
    await load.acks(60);
    server.writeLine(JSON.stringify({ crash_shard: shard }));
    // The crash has happened once the log tells of it, or else the rest would prove nothing.
    const fresh = () =>
      server.log().filter((line) => Number(line.level ?? 0) >= 40 || /shard/.test(String(line.event)));
    await until(
      () => server.lines.length > linesBefore && fresh().length > crash,
      'a log line of the crash',
      DEADLINE_MS,
    );
    // Each room of the crashed shard takes messages again.
    const concerned = load.roomIds.filter((roomId) => shardOf(roomId, SHARDS) === shard);
    const ackedIn = (roomId: string): number =>
      load.senders.flatMap(({ sent }) => sent).filter((each) => each.roomId === roomId && each.ack).length;
    const before = concerned.map(ackedIn);
    const again = (): boolean =>
      concerned.every((roomId, index) => ackedIn(roomId) > (before[index] ?? 0) + 4);
    await until(again, `acks of shard ${shard} after its crash`, DEADLINE_MS);
  }
  expect(load.members.map((member) => member.client())).toEqual(sockets);
  expect(await load.finish()).toEqual([]);
  expect(await server.stop()).toEqual({ code: 0, signal: null });
});
