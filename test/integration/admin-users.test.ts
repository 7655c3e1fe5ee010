import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../src/protocol/model.js';
import { admin, runAdmin } from '../helpers/admin.js';
import { upload } from '../helpers/attachments.js';
import { DEADLINE_MS, until, within } from '../helpers/deadline.js';
import { type Nodes, startNodes } from '../helpers/nodes.js';
import {
  type Account,
  dataOf,
  newAccount,
  newRoom,
  type Rest,
  refusalOf,
  restClient,
  wholeHistory,
} from '../helpers/rest-client.js';
import { enter } from '../helpers/signals.js';

const FOUND_WITHIN_MS = 15_000; // a change that nobody tells of is found within 10 s (I10)

describe('a user’s data, on two nodes', { timeout: 90_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'parley-admin-'));
  let nodes: Nodes;
  let url: string;
  let here: Rest;
  let there: Rest;

  beforeAll(async () => {
    nodes = await startNodes([{ SHARDS: '1' }, { SHARDS: '1' }]);
    url = nodes.database.url;
    [here, there] = [restClient(nodes.node(0).url), restClient(nodes.node(1).url)];
  });
  afterAll(async () => {
    await nodes?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  type Line = Readonly<Record<string, unknown>> & { readonly record: string };
  const read = (file: string) =>
    readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
  const send = async (who: Account, room: string, body: object) =>
    dataOf(await here.send(who.token, room, body));

  test('an export has all that a user left, nobody else’s, and no secret', async () => {
    const [ann, ben] = [await newAccount(here, 'ann'), await newAccount(here, 'ben')];
    const room = await newRoom(here, ann, [ben]);
    const theirs = await send(ann, room.id, { content: 'not ben’s' });
    const file = { bytes: Buffer.from('a text'), name: 'a.txt', type: 'text/plain' };
    const { id: attachment } = dataOf(await upload(nodes.node(0).url, ben.token, room.id, file));
    const mine = await send(ben, room.id, { content: 'before', attachment_ids: [attachment] });
    dataOf(await here.edit(ben.token, mine.id, 'after'));
    dataOf(await here.react(ben.token, theirs.id, '👍'));
    await here.post(`/messages/${theirs.id}/report`, ben.token, { reason: 'it is rude' });

    const path = join(dir, 'ben.jsonl');
    await admin(url, 'export-user', ben.username, path);
    const lines = read(path);
    const of = (record: string) => lines.filter((line) => line.record === record);
    expect(of('profile')).toMatchObject([{ id: ben.id, username: ben.username, email: ben.email }]);
    expect(of('session')).toHaveLength(1);
    expect(of('membership')).toMatchObject([{ room_id: room.id, role: 'member' }]);
    expect(of('message')).toMatchObject([{ id: mine.id, content: 'after', user_id: ben.id }]);
    expect(of('message_edit')).toMatchObject([{ message_id: mine.id, content: 'before' }]);
    expect(of('reaction')).toMatchObject([{ message_id: theirs.id, emoji: '👍' }]);
    expect(of('attachment')).toMatchObject([{ id: attachment, file_name: 'a.txt', message_id: mine.id }]);
    expect(of('report')).toMatchObject([{ message_id: theirs.id, reason: 'it is rude' }]);
    expect(lines).toHaveLength(8);
    expect(readFileSync(path, 'utf8')).not.toMatch(/not ben’s|password|hash|storage|secret/);
    expect(statSync(path).mode & 0o777).toBe(0o600);

    const again = await runAdmin(url, 'export-user', ben.id, path);
    expect(again.code).toBe(1);
    expect(again.lines).toEqual([expect.stringContaining('EEXIST')]);
    expect(read(path)).toHaveLength(8);
  });

  test('an erased user is gone, his messages are tombstones that members see, and numbers go on', async () => {
    const [ann, ben] = [await newAccount(here, 'ann'), await newAccount(here, 'ben')];
    const { id: room } = await newRoom(here, ann, [ben]);
    const { id: alone } = await newRoom(here, ben);
    const secret = await send(ben, alone, { content: 'to himself' });
    for (let i = 0; i < 5; i++) {
      await send(ann, room, { content: `ann ${i}` });
      await send(ben, room, { content: `ben ${i}`, metadata: { private: 'ben' } });
    }
    const edited = await send(ben, room, { content: 'first' });
    dataOf(await here.edit(ben.token, edited.id, 'second'));
    const before = await wholeHistory(here, ann.token, room);
    const ears = [
      await enter(nodes.node(0).wsUrl, ann, room),
      await enter(nodes.node(1).wsUrl, ann, room),
    ] as const;
    const his = await enter(nodes.node(1).wsUrl, ben, room);

    await admin(url, 'erase-user', ben.username);
    expect((await within(his.closed, DEADLINE_MS, 'the close')).code).toBe(4010);
    for (const ear of ears) {
      await until(() => ear.heard('message_deleted', room).length === 6, 'the deletions', FOUND_WITHIN_MS);
      const revs = (ear.streams.get(room) ?? []).map(({ rev }) => rev);
      expect(revs).toEqual(revs.map((_, i) => before.length + 2 + i));
    }
    const after = await wholeHistory(there, ann.token, room);
    expect(after.map(({ seq_no, id }) => [seq_no, id])).toEqual(before.map(({ seq_no, id }) => [seq_no, id]));
    for (const message of after) {
      const isHis = message.user_id === ben.id;
      expect([message.content === '', message.deleted_at !== null]).toEqual([isHis, isHis]);
      if (isHis) expect([message.metadata, message.username.slice(0, 8)]).toEqual([{}, 'deleted-']);
    }
    const synced = await ears[1].ask<{ messages: Message[]; head_rev: number }>(
      'sync',
      { since: 0, limit: 500 },
      room,
    );
    expect([...synced.messages].sort((a, b) => a.seq_no - b.seq_no)).toEqual(after);
    const next = dataOf(await there.send(ann.token, room, { content: 'next' }));
    expect([next.seq_no, next.rev]).toEqual([before.length + 1, synced.head_rev + 1]);
    expect(refusalOf(await here.login({ email: ben.email, password: ben.password })).status).toBe(401);

    const path = join(dir, 'erased.jsonl');
    await admin(url, 'export-user', ben.id, path);
    const left = readFileSync(path, 'utf8');
    expect(left).not.toMatch(new RegExp(`ben \\d|to himself|first|second|${ben.username}|${ben.email}`));
    expect(left).toContain(secret.id);
    expect(await admin(url, 'erase-user', ben.id)).toContain(`${ben.id} is erased; messages blanked: 0`);
    expect((await admin(url, 'audit'))[0]).toContain(`operator erase-user ${ben.id}`);
    for (const ear of ears) await ear.close();
  });

  test('who is the last admin of a room with others is not erased', async () => {
    const [ann, ben] = [await newAccount(here, 'ann'), await newAccount(here, 'ben')];
    const { id: room } = await newRoom(here, ann, [ben]);
    const run = await runAdmin(url, 'erase-user', ann.id);
    expect(run.code).toBe(1);
    expect(run.lines).toContain(`nothing is erased: make another member admin first of ${room}`);
    expect((await here.sessions(ann.token)).status).toBe(200);
  });
});
