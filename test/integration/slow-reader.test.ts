import { beforeAll, expect, test } from 'vitest';
import { must, until, within } from '../helpers/deadline.js';
import type { Ack, Encoding } from '../helpers/frames.js';
import { createMember, faultsOfRoom, type Member } from '../helpers/member-view.js';
import { type Account, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { Disconnected } from '../helpers/ws-client.js';

/** 20 KB a message: the kernel's buffers of a loopback connection swallow several megabytes before anybody notices. */
const CONTENT = '😀'.repeat(5_000);
const MESSAGES = 1_000;
const AT_ONCE = 20;
const CLOSE_DEADLINE_MS = 120_000;

let server: Server;
let rest: Rest;

beforeAll(async () => {
  server = await startServerWithDatabase();
  rest = restClient(server.url);
});

interface Scene {
  readonly roomId: string;
  readonly slow: Member;
  readonly quick: Member;
  readonly talker: Member;
}

async function scene(encoding: Encoding): Promise<Scene> {
  const accounts = await Promise.all(['slow', 'quick', 'talker'].map((name) => newAccount(rest, name)));
  const [slow, quick, talker] = accounts as [Account, Account, Account];
  const { id: roomId } = await newRoom(rest, talker, [slow, quick]);
  const join = async (account: Account, mayMiss: boolean): Promise<Member> => {
    const member = createMember({ wsUrl: () => server.wsUrl, account, encoding, mayMiss });
    await member.connect();
    await member.join(roomId);
    return member;
  };
  const joined = {
    slow: await join(slow, true),
    quick: await join(quick, false),
    talker: await join(talker, false),
  };
  return { roomId, ...joined };
}

async function talk(talker: Member, roomId: string, count: number): Promise<void> {
  const client = must(talker.client());
  for (let sent = 0; sent < count; sent += AT_ONCE) {
    const some = Array.from({ length: AT_ONCE }, () =>
      client.ask<Ack>('send_message', { content: CONTENT }, roomId),
    );
    await Promise.all(some);
  }
}

test.each(['json', 'msgpack'] as const)(
  'a %s reader that stops reading is told to resync when it reads again, and heals; others miss nothing',
  { timeout: 120_000 },
  async (encoding) => {
    const { roomId, slow, quick, talker } = await scene(encoding);
    const { socket, next } = must(slow.client());
    socket.pause();
    await talk(talker, roomId, MESSAGES);
    await quick.caughtUp(roomId, MESSAGES);
    const resync = next((frame) => frame.type === 'resync', 'resync', 30_000);
    socket.resume();
    const rooms = (await resync).payload.rooms as { room_id: string; head_rev: number }[];
    expect(rooms.map((room) => room.room_id)).toEqual([roomId]);
    expect(slow.view(roomId).liveRevs.length).toBeLessThan(MESSAGES); // it did miss something
    expect(await faultsOfRoom(server.url, roomId, [quick, talker, slow])).toEqual([]);
    // Healed, it is a reader like any other.
    await talk(talker, roomId, AT_ONCE);
    expect(await faultsOfRoom(server.url, roomId, [quick, talker, slow])).toEqual([]);
  },
);

test('a reader that never reads again is closed with 4009, and others miss nothing', {
  timeout: CLOSE_DEADLINE_MS + 60_000,
}, async () => {
  const { roomId, slow, quick, talker } = await scene('json');
  const client = must(slow.client());
  client.socket.pause();
  await talk(talker, roomId, MESSAGES);
  const metric = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`)).text();
  await until(
    async () => /parley_websocket_closes_total\{code="4009"[^}]*\} [1-9]/.test(await metric()),
    'the close',
    CLOSE_DEADLINE_MS,
  );
  client.socket.resume();
  const { code } = await within(client.closed, 30_000, 'the close');
  expect([4009, 1006]).toContain(code);
  await talk(talker, roomId, AT_ONCE).catch((error: unknown) => {
    if (error instanceof Disconnected) throw new Error('the talker was closed too');
    throw error;
  });
  // What it missed is there when it comes back.
  await slow.connect();
  expect(await faultsOfRoom(server.url, roomId, [quick, talker, slow])).toEqual([]);
});
