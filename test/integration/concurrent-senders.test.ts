import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { must } from '../helpers/deadline.js';
import type { Ack, Encoding } from '../helpers/frames.js';
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
import { ackFaults, createSender } from '../helpers/sender.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';

const ROOMS = 4;
const SOCKET_SENDERS = 8;
const MESSAGES_EACH = 120;
const REST_SENDERS = 3;
const REST_MESSAGES_EACH = 30;

let server: Server;
let rest: Rest;

beforeAll(async () => {
  server = await startServerWithDatabase({ SHARDS: '2' });
  rest = restClient(server.url);
});

async function newMember(account: Account, encoding: Encoding, roomIds: readonly string[]): Promise<Member> {
  const member = createMember({ wsUrl: () => server.wsUrl, account, encoding });
  await member.connect();
  for (const roomId of roomIds) await member.join(roomId);
  return member;
}

const encodingOf = (index: number): Encoding => (index % 2 === 0 ? 'json' : 'msgpack');

describe('many senders in several rooms over both encodings and REST', () => {
  test('numbers have no gap, each sender keeps its order, nothing comes twice, and live equals history', {
    timeout: 120_000,
  }, async () => {
    const accounts = await Promise.all(
      Array.from({ length: SOCKET_SENDERS }, () => newAccount(rest, 'sender')),
    );
    const owner = must(accounts[0]);
    const rooms = await Promise.all(
      Array.from({ length: ROOMS }, () => newRoom(rest, owner, accounts.slice(1))),
    );
    const roomIds = rooms.map((room) => room.id);
    const members = await Promise.all(
      accounts.map((account, i) => newMember(account, encodingOf(i), roomIds)),
    );

    const senders = members.map((member) => createSender(member, roomIds, 16));
    const overSockets = senders.map((sender) => sender.run(() => sender.sent.length >= MESSAGES_EACH));
    const restIds: string[] = [];
    const overRest = accounts.slice(0, REST_SENDERS).map(async (account) => {
      for (let n = 0; n < REST_MESSAGES_EACH; n++) {
        const roomId = must(roomIds[n % ROOMS]);
        const sent = await rest.send(account.token, roomId, { content: `rest ${account.username} ${n}` });
        restIds.push(dataOf(sent).id);
      }
    });
    await Promise.all([...overSockets, ...overRest]);

    let total = 0;
    for (const roomId of roomIds) {
      expect(await faultsOfRoom(server.url, roomId, members)).toEqual([]);
      const history = await wholeHistory(rest, owner.token, roomId);
      total += history.length;
      const byId = new Map(history.map((message) => [message.id, message]));
      const here = senders.map((sender) => ({
        ...sender,
        sent: sender.sent.filter((m) => m.roomId === roomId),
      }));
      expect(here.flatMap((sender) => ackFaults(sender, byId))).toEqual([]);
      for (const { sent } of here) {
        const seqs = sent.map((message) => must(message.ack).seq_no);
        expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
      }
      for (const member of members) {
        const revs = member.view(roomId).liveRevs;
        expect(revs).toEqual(Array.from({ length: history.length }, (_, index) => index + 1));
      }
    }
    expect(total).toBe(SOCKET_SENDERS * MESSAGES_EACH + REST_SENDERS * REST_MESSAGES_EACH);
    expect(new Set(restIds).size).toBe(REST_SENDERS * REST_MESSAGES_EACH);
    expect(senders.flatMap((sender) => sender.faults)).toEqual([]);
  });

  test('one id sent at once over many sockets and REST becomes one message with one number', async () => {
    const account = await newAccount(rest);
    const room = await newRoom(rest, account);
    const members = await Promise.all(
      Array.from({ length: 6 }, (_, i) => newMember(account, encodingOf(i), i < 2 ? [room.id] : [])),
    );
    const body = { id: randomUUID(), content: 'only once' };
    const overSockets = members.map((member) =>
      must(member.client())
        .ask<Ack>('send_message', body, room.id)
        .then(({ seq_no, rev, duplicate }) => ({
          seq_no,
          rev,
          first: !duplicate,
        })),
    );
    const overRest = Array.from({ length: 4 }, () =>
      rest.send(account.token, room.id, body).then((answer) => ({
        seq_no: dataOf(answer).seq_no,
        rev: dataOf(answer).rev,
        first: answer.status === 201,
      })),
    );
    const answers = await Promise.all([...overSockets, ...overRest]);
    expect(answers.map(({ seq_no, rev }) => [seq_no, rev])).toEqual(answers.map(() => [1, 1]));
    expect(answers.filter((answer) => answer.first)).toHaveLength(1);
    expect(await faultsOfRoom(server.url, room.id, members.slice(0, 2))).toEqual([]);
  });

  test('edits and deletions from several sockets take one rev each, in one order for everybody', async () => {
    const accounts = await Promise.all(Array.from({ length: 4 }, () => newAccount(rest)));
    const room = await newRoom(rest, must(accounts[0]), accounts.slice(1));
    const members = await Promise.all(
      accounts.map((account, i) => newMember(account, encodingOf(i), [room.id])),
    );
    const revs: number[] = [];
    await Promise.all(
      members.map(async (member) => {
        const client = must(member.client());
        for (let n = 0; n < 15; n++) {
          const ack = await client.ask<Ack>('send_message', { content: `draft ${n}` }, room.id);
          const edited = { message_id: ack.id, content: `final ${n}` };
          revs.push(ack.rev, (await client.ask<{ rev: number }>('edit_message', edited, room.id)).rev);
          if (n % 3 !== 0) continue;
          revs.push(
            (await client.ask<{ rev: number }>('delete_message', { message_id: ack.id }, room.id)).rev,
          );
        }
      }),
    );
    expect(revs.toSorted((a, b) => a - b)).toEqual(revs.map((_, index) => index + 1));
    expect(await faultsOfRoom(server.url, room.id, members)).toEqual([]);
  });
});
