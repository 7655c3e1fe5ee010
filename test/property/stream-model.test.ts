import * as fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { must } from '../helpers/deadline.js';
import type { Ack, Encoding } from '../helpers/frames.js';
import { countFaults } from '../helpers/history-check.js';
import { createMember, faultsOfRoom, type Member } from '../helpers/member-view.js';
import {
  type Account,
  dataOf,
  newAccount,
  newRoom,
  type Rest,
  restClient,
  wholeHistory,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { Disconnected, Refused } from '../helpers/ws-client.js';

const ENCODINGS: readonly Encoding[] = ['json', 'msgpack', 'json'];
const STEPS_MAX = 18;
const EMOJI = ['👍', '🎉', ':tada:'];
const RUNS_MAX = 200;
const TIME_LIMIT_MS = 40_000;

let server: Server;
let rest: Rest;
let accounts: Account[];

beforeAll(async () => {
  server = await startServerWithDatabase({ SHARDS: '2' });
  rest = restClient(server.url);
  accounts = await Promise.all(ENCODINGS.map(() => newAccount(rest, 'model')));
});

const actions = [
  'send',
  'send',
  'send',
  'edit',
  'edit',
  'delete',
  'react',
  'react',
  'unreact',
  'pin',
  'unpin',
  'reply',
  'disconnect',
  'connect',
  'join',
  'leave',
] as const;

/** One step of one client. `waits`: the next step comes after the answer, else right behind. */
const step = fc.record({
  action: fc.constantFrom(...actions),
  target: fc.nat(50),
  waits: fc.boolean(),
});
type Step = Parameters<
  Parameters<typeof fc.asyncProperty<[typeof step extends fc.Arbitrary<infer T> ? T : never]>>[1]
>[0];

/** A script a client; the clients run at once. */
const scripts = fc.tuple(...ENCODINGS.map(() => fc.array(step, { maxLength: STEPS_MAX }))) as fc.Arbitrary<
  Step[][]
>;

/**
 * A client that follows its script; what the room allows at no moment makes it throw. It edits and deletes what it
 * sent itself, and answers, pins and reacts to what anybody has (`all`).
 */
async function follow(script: readonly Step[], member: Member, roomId: string, all: string[]): Promise<void> {
  const sent: string[] = [];
  const underWay: Promise<void>[] = [];
  let joined = true;
  for (const { action, target, waits } of script) {
    const running = tolerant(async () => {
      const client = member.client();
      const id = sent[target % Math.max(1, sent.length)];
      const any = all[target % Math.max(1, all.length)];
      const { token } = member.account;
      const reaction = { message_id: any, emoji: EMOJI[target % EMOJI.length] };
      switch (action) {
        case 'send': {
          const content = `${member.account.username} ${target}`;
          const { id: fresh } =
            client !== null
              ? await client.ask<Ack>('send_message', { content }, roomId)
              : dataOf(await rest.send(token, roomId, { content }));
          sent.push(fresh);
          all.push(fresh);
          return;
        }
        case 'reply':
          if (any !== undefined && client !== null) {
            const body = { content: `reply ${target}`, thread_root: any };
            sent.push((await client.ask<Ack>('send_message', body, roomId)).id);
          }
          return;
        case 'react':
          if (any !== undefined) await client?.ask('add_reaction', reaction, roomId);
          return;
        case 'unreact':
          if (any !== undefined) await client?.ask('remove_reaction', reaction);
          return;
        case 'pin':
        case 'unpin': {
          if (any === undefined) return;
          const { status } = await (action === 'pin' ? rest.pin(token, any) : rest.unpin(token, any));
          if (status !== 200 && status !== 404) throw new Error(`${action} was answered ${status}`);
          return;
        }
        case 'edit':
          if (id !== undefined)
            await client?.ask('edit_message', { message_id: id, content: `edit ${target}` }, roomId);
          return;
        case 'delete':
          if (id !== undefined) await client?.ask('delete_message', { message_id: id });
          return;
        case 'disconnect':
          return member.disconnect();
        case 'connect':
          if (client === null) await member.connect();
          return;
        case 'join':
          if (client !== null && !joined) await member.join(roomId);
          joined ||= client !== null;
          return;
        case 'leave':
          if (client !== null && joined) await member.leave(roomId);
          if (client !== null) joined = false;
          return;
        default:
          action satisfies never;
      }
    });
    // Steps that change the client's own state wait: a client doesn't join and leave one room at the same time.
    const isOwn = action === 'connect' || action === 'disconnect' || action === 'join' || action === 'leave';
    if (waits || isOwn) await running;
    else underWay.push(running);
  }
  await Promise.all(underWay);
  if (member.client() === null) await member.connect();
  if (!joined) await member.join(roomId);
}

/** A lost connection leaves an answer open, and a tombstone takes no edit: both belong to the game. */
async function tolerant(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (error instanceof Disconnected) return;
    if (error instanceof Refused && error.problem.code === 'not_found') return;
    throw error;
  }
}

test('whatever clients do at once, each one’s stream, joined over reconnections, is the room’s history', {
  timeout: TIME_LIMIT_MS + 40_000,
}, async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(scripts, async (run) => {
      runs += 1;
      const room = await newRoom(rest, must(accounts[0]), accounts.slice(1));
      for (const { id } of accounts.slice(1))
        dataOf(await rest.patchMember(must(accounts[0]).token, room.id, id, { role: 'moderator' }));
      const members = accounts.map((account, index) =>
        createMember({ wsUrl: () => server.wsUrl, account, encoding: must(ENCODINGS[index]) }),
      );
      try {
        for (const member of members) {
          await member.connect();
          await member.join(room.id);
        }
        const all: string[] = [];
        await Promise.all(run.map((script, index) => follow(script, must(members[index]), room.id, all)));
        expect(await faultsOfRoom(server.url, room.id, members)).toEqual([]);
        const history = await wholeHistory(rest, must(accounts[0]).token, room.id);
        expect(countFaults(history)).toEqual([]);
        const pins = dataOf(await rest.pins(must(accounts[0]).token, room.id));
        const pinned = history.filter((message) => message.pinned).map(({ id }) => id);
        expect(pins.map(({ id }) => id).sort()).toEqual(pinned.sort());
      } finally {
        for (const member of members) await member.disconnect();
      }
    }),
    { numRuns: RUNS_MAX, interruptAfterTimeLimit: TIME_LIMIT_MS, endOnFailure: true },
  );
  expect(runs).toBeGreaterThan(10); // else the time limit made the test an empty one
});
