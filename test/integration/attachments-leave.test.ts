import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Attachment, AuditEntry, Message } from '../../src/protocol/model.js';
import { type Db, openDatabase } from '../../src/store/client.js';
import { picture, upload } from '../helpers/attachments.js';
import { must, until } from '../helpers/deadline.js';
import type { Joined } from '../helpers/frames.js';
import { createMember, faultsOfRoom } from '../helpers/member-view.js';
import {
  type Account,
  dataOf,
  newAccount,
  newRoom,
  type Rest,
  refusalOf,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServer, startServerWithDatabase } from '../helpers/server-process.js';
import { connect, type WsClient } from '../helpers/ws-client.js';

const SHARDS = 3; // a request for a room of another shard comes to the wrong one more often than not

let server: Server & { readonly database: { readonly url: string } };
let rest: Rest;
let db: Db;
let bytes: Buffer;

beforeAll(async () => {
  server = await startServerWithDatabase({
    UPLOADS_PER_MINUTE: '0',
    SHARDS: String(SHARDS),
    DB_POOL_SIZE: '2',
  });
  rest = restClient(server.url);
  db = openDatabase(server.database.url, 1, 'attachments-leave');
  bytes = await picture(32, 32);
});
afterAll(() => db.end());

interface Scene {
  readonly owner: Account;
  readonly member: Account;
  readonly room: string;
  /** Of the member, in this order. */
  readonly files: readonly string[];
  readonly message: Message;
}

async function scene(count: number, content = 'look'): Promise<Scene> {
  const [owner, member] = await Promise.all([newAccount(rest), newAccount(rest)]);
  const room = (await newRoom(rest, owner, [member])).id;
  const files: string[] = [];
  for (let i = 0; i < count; i++)
    files.push(dataOf(await upload(server.url, member.token, room, { bytes })).id);
  const message = dataOf(await rest.send(member.token, room, { content, attachment_ids: files }));
  return { owner, member, room, files, message };
}

const shown = (message: Message) => message.attachments.map(({ id }) => id);
const remove = (account: Account, file: string) => rest.delete(`/attachments/${file}`, account.token);

/** The next change of a message's text or files that a socket is told of. */
async function updated(
  client: WsClient,
): Promise<{ readonly rev: number | undefined; readonly message: Message }> {
  const frame = await client.next((each) => each.type === 'message_updated', 'the change');
  return { rev: frame.rev, message: (frame.payload as unknown as { message: Message }).message };
}

/** What a message says without its links, which are made anew whenever it is shown. */
const unlinked = ({ attachments, ...message }: Message) => ({
  ...message,
  attachments: attachments.map(({ storage_url: _, thumbnail_url: __, ...rest }) => rest),
});

test('a file that is deleted leaves its message by a change: live, in history and to whoever resumes', async () => {
  for (let round = 0; round < SHARDS; round++) {
    const { owner, member, room, files, message } = await scene(2);
    const sockets = await Promise.all(
      (['json', 'msgpack'] as const).map((encoding) =>
        connect({ wsUrl: server.wsUrl, token: owner.token, encoding }),
      ),
    );
    for (const socket of sockets) await socket.ask('join_room', {}, room);
    expect((await remove(member, must(files[0]))).status).toBe(200);
    const stored = dataOf(await rest.message(owner.token, message.id));
    expect(stored).toMatchObject({ rev: message.rev + 1, content: 'look', edited: false, edited_at: null });
    expect(shown(stored)).toEqual([files[1]]);
    expect(Date.parse(stored.updated_at)).toBeGreaterThan(Date.parse(message.updated_at));
    for (const socket of sockets) {
      const live = await updated(socket);
      expect(live.rev).toBe(stored.rev);
      expect(unlinked(live.message)).toEqual(unlinked(stored));
    }
    const [first] = sockets;
    const resumed = await must(first).ask<Joined>('join_room', { since: message.rev }, room);
    expect(must(resumed.messages).map(unlinked)).toEqual([unlinked(stored)]);
    expect(resumed.head_rev).toBe(stored.rev);
    expect(refusalOf(await remove(member, must(files[0])))).toEqual({ status: 404, code: 'not_found' });
    expect(dataOf(await rest.getRoom(owner.token, room)).head_rev).toBe(stored.rev);
    await Promise.all(sockets.map((socket) => socket.close()));
  }
});

test('members who were there, or came back, see what history says after files have left at once', async () => {
  const { owner, member, room, files, message } = await scene(6);
  const views = [owner, member].map((account) =>
    createMember({ wsUrl: () => server.wsUrl, account, encoding: 'json' }),
  );
  for (const view of views) {
    await view.connect();
    await view.join(room);
  }
  await views[1]?.disconnect();
  const edit = rest.edit(member.token, message.id, 'look again');
  const answers = await Promise.all(
    [...files, ...files].map((file) => remove(file === files[0] ? owner : member, file)),
  );
  for (const { status } of answers) expect([200, 404]).toContain(status);
  expect((await edit).status).toBe(200);
  await views[1]?.connect();
  expect(await faultsOfRoom(server.url, room, views)).toEqual([]);
  // A rev for each file and the edit, whichever of two that asked at once came first.
  expect(dataOf(await rest.message(owner.token, message.id))).toMatchObject({
    ...{ rev: message.rev + files.length + 1, attachments: [], content: 'look again' },
  });
  for (const view of views) await view.disconnect();
});

test('moderators read in the audit log who deleted which file, and of none that merely went with something', async () => {
  const { owner, member, room, files, message } = await scene(3);
  const unattached = dataOf(await upload(server.url, member.token, room, { bytes })).id;
  const never = dataOf(
    await rest.post<{ attachment: Attachment }>(`/rooms/${room}/attachments/presign`, member.token, {
      file_name: 'a.png',
      file_type: 'image/png',
      file_size: 10,
    }),
  ).attachment.id;
  for (const [account, file] of [
    [owner, files[0]],
    [member, files[1]],
    [member, unattached],
    [member, never],
  ] as const) {
    expect((await remove(account, must(file))).status).toBe(200);
  }
  expect((await remove(owner, must(files[0]))).status).toBe(404);
  expect((await rest.delete(`/messages/${message.id}`, member.token)).status).toBe(200);
  const entries = dataOf(await rest.get<AuditEntry[]>(`/rooms/${room}/audit`, owner.token));
  const told = entries.filter(({ action }) => action === 'attachment_deleted');
  const of = (actor: Account, attachment_id: string | undefined, target_message_id: string | null) => ({
    room_id: room,
    actor_id: actor.id,
    actor_username: actor.username,
    target_user_id: member.id,
    target_message_id,
    details: { attachment_id, file_type: 'image/png', file_size: bytes.length },
  });
  expect(told).toMatchObject([
    of(member, unattached, null),
    of(member, files[1], message.id),
    of(owner, files[0], message.id),
  ]);
  expect(refusalOf(await rest.get(`/rooms/${room}/audit`, member.token)).code).toBe('forbidden');
});

test('a message left with neither text nor files stays, empty, and takes text again', async () => {
  const { owner, member, files, message } = await scene(1, '');
  expect((await remove(owner, must(files[0]))).status).toBe(200);
  const empty = dataOf(await rest.message(owner.token, message.id));
  expect(empty).toMatchObject({ content: '', attachments: [], deleted_at: null, rev: message.rev + 1 });
  expect(dataOf(await rest.edit(member.token, message.id, 'words'))).toMatchObject({
    content: 'words',
    edited: true,
  });
});

test('a repeat is answered with the first result, also where its file has gone since', async () => {
  const { member, room } = await scene(0);
  const file = dataOf(await upload(server.url, member.token, room, { bytes })).id;
  const body = { id: randomUUID(), content: 'once', attachment_ids: [file] };
  const first = dataOf(await rest.send(member.token, room, body));
  expect((await remove(member, file)).status).toBe(200);
  const other = await startServer({ env: { DATABASE_URL: server.database.url } }); // which has never seen it
  const repeat = await restClient(other.url).send(member.token, room, body);
  await other.stop();
  expect(repeat.status).toBe(200);
  expect(dataOf(repeat)).toMatchObject({ seq_no: first.seq_no, rev: first.rev, attachments: [] });
});

test('with an account its files leave their messages, each by a change, and then storage', async () => {
  const { owner, member, room, files, message } = await scene(3);
  const second = dataOf(await rest.send(member.token, room, { content: 'no file' }));
  const unattached = dataOf(await upload(server.url, member.token, room, { bytes })).id;
  const socket = await connect({ wsUrl: server.wsUrl, token: owner.token });
  await socket.ask('join_room', {}, room);
  expect((await rest.delete('/users/me', member.token)).status).toBe(200);
  for (const file of [...files, unattached]) {
    expect(refusalOf(await rest.get(`/attachments/${file}`, owner.token)).code).toBe('not_found');
  }
  const live = await updated(socket);
  const stored = dataOf(await rest.message(owner.token, message.id));
  expect(stored).toMatchObject({ rev: second.rev + 1, content: 'look', edited: false, attachments: [] });
  expect(live.rev).toBe(stored.rev);
  const resumed = await socket.ask<Joined>('join_room', { since: second.rev }, room);
  expect(must(resumed.messages)).toEqual([stored]);
  expect(await db`select from audit_log where room_id = ${room} and action = 'attachment_deleted'`).toEqual(
    [],
  );
  await until(
    async () => (await db`select from attachments where user_id = ${member.id}`).length === 0,
    'no row of his files',
  );
  await socket.close();
});
