import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { expect, inject, test } from 'vitest';
import { slowUpload, upload } from '../helpers/attachments.js';
import { must, until, within } from '../helpers/deadline.js';
import { dataOf, freshName, newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { startServerWithDatabase } from '../helpers/server-process.js';
import { connect } from '../helpers/ws-client.js';

const MiB = 1_024 * 1_024;

test('with a crashed transfer thread what is under way fails, a new thread takes uploads, and sockets stay', {
  timeout: 60_000,
}, async () => {
  const dataDir = join(inject('runDirectory'), freshName('crash'));
  const server = await startServerWithDatabase({
    DATA_DIR: dataDir,
    UPLOADS_PER_MINUTE: '0',
    PARLEY_TEST_FAULTS: '1',
  });
  const rest = restClient(server.url);
  const sql = postgres(server.database.url, { max: 1 });
  const owner = await newAccount(rest);
  const room = (await newRoom(rest, owner)).id;
  const socket = await connect({ wsUrl: server.wsUrl, token: owner.token, encoding: 'json' });
  await socket.ask('join_room', {}, room);
  const drafts = () => readdir(join(dataDir, 'attachments', 'drafts')).catch(() => []);
  const bytes = randomBytes(60 * MiB);
  bytes.set([0xff, 0xd8, 0xff, 0xe0], 0);
  const kept = dataOf(await upload(server.url, owner.token, room, { bytes, type: 'image/jpeg' }));
  const crashes = () => server.log().filter((line) => line.event === 'transfer_crashed').length;

  for (let crash = 1; crash <= 3; crash++) {
    const sending = slowUpload(server.url, owner.token, room, 40 * MiB);
    await sending.write(randomBytes(4 * MiB));
    await until(async () => (await drafts()).length > 0, 'a draft');
    const download = must((await fetch(new URL(kept.storage_url, server.url))).body).getReader();
    await download.read();
    server.writeLine('{"crash_transfer": true}');
    await until(() => crashes() === crash, 'the crash in the log');
    expect((await within(sending.answer, 5_000, 'an answer')).status).toBe(503);
    sending.abort();
    await expect(readAll(download)).rejects.toThrow(); // cut off, not short
    // A new thread is there, and does all that the first did.
    await until(
      async () =>
        (await upload(server.url, owner.token, room, { bytes: bytes.subarray(0, 1_000) })).status === 201,
      'an upload',
    );
    const whole = await fetch(new URL(kept.storage_url, server.url));
    expect(Buffer.compare(Buffer.from(await whole.arrayBuffer()), bytes)).toBe(0);
    // What the crash left is a draft and a row that expires: nothing else.
    expect(await sql`select from attachments where state = 'pending'`).toHaveLength(1);
    await sql`update attachments set due_at = now() where state = 'pending'`;
    await until(async () => (await drafts()).length === 0, 'no draft');
    await until(
      async () => (await sql`select from attachments where state <> 'ready'`).length === 0,
      'no row',
    );
  }
  dataOf(await rest.send(owner.token, room, { content: '', attachment_ids: [kept.id] }));
  await socket.next((frame) => frame.type === 'new_message', 'the message on the socket of before');
  await sql.end();
  expect(await server.stop()).toEqual({ code: 0, signal: null });
});

async function readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done);
}
