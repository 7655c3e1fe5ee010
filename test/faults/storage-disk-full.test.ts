import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { afterAll, expect, inject, test } from 'vitest';
import type { Attachment } from '../../src/protocol/model.js';
import { slowUpload, upload } from '../helpers/attachments.js';
import { DEADLINE_MS, must, until, within } from '../helpers/deadline.js';
import { dataOf, freshName, newAccount, newRoom, refusalOf, restClient } from '../helpers/rest-client.js';
import { startServerWithDatabase } from '../helpers/server-process.js';

const run = promisify(execFile);
const MiB = 1_024 * 1_024;
const UNAVAILABLE = { status: 503, code: 'unavailable' };

const dataDir = join(inject('runDirectory'), freshName('disk'));
const root = join(dataDir, 'attachments');
await mkdir(root, { recursive: true });
/** A disk of 6 MiB. */
const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', root]).then(
  () => true,
  () => false,
);
afterAll(() => (mounted ? run('umount', ['-l', root]) : undefined));

async function files(): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

const title =
  'what does not fit on the disk is `unavailable` and leaves nothing; the server goes on, and takes what fits';
test.skipIf(!mounted)(
  mounted ? title : `${title} (skipped: only root may mount a small disk)`,
  {
    timeout: 60_000,
  },
  async () => {
    const server = await startServerWithDatabase({ DATA_DIR: dataDir, UPLOADS_PER_MINUTE: '0' });
    const rest = restClient(server.url);
    const sql = postgres(server.database.url, { max: 1 });
    const owner = await newAccount(rest);
    const room = (await newRoom(rest, owner)).id;
    const send = (size: number) =>
      upload(server.url, owner.token, room, { bytes: randomBytes(size), type: 'application/octet-stream' });
    const rows = async () => (await sql`select from attachments`).length;

    const first = dataOf(await send(3 * MiB));
    expect(refusalOf(await send(4 * MiB))).toEqual(UNAVAILABLE);
    // Also where the disk is full long before the end of the file.
    const slow = slowUpload(server.url, owner.token, room, 10 * MiB);
    await slow.write(randomBytes(5 * MiB));
    expect((await within(slow.answer, DEADLINE_MS, 'an answer')).status).toBe(503);
    slow.abort();
    // And where a client brings the file by a link.
    const announced = { file_name: 'a.bin', file_type: 'application/octet-stream', file_size: 4 * MiB };
    const presigned = dataOf(
      await rest.post<{ attachment: Attachment; upload: { url: string } }>(
        `/rooms/${room}/attachments/presign`,
        owner.token,
        announced,
      ),
    );
    const put = () =>
      fetch(new URL(presigned.upload.url, server.url), { method: 'PUT', body: randomBytes(4 * MiB) });
    expect((await put()).status).toBe(503);
    await until(async () => (await files()).length === 1 && (await rows()) === 2, 'the first file alone');

    expect((await rest.send(owner.token, room, { content: 'goes on' })).status).toBe(201);
    expect((await send(MiB)).status).toBe(201);
    expect((await rest.delete(`/attachments/${first.id}`, owner.token)).status).toBe(200);
    await until(async () => (await files()).length === 1, 'room on the disk');
    expect((await put()).status).toBe(200);
    const completed = await rest.post<Attachment>(
      `/attachments/${presigned.attachment.id}/complete`,
      owner.token,
    );
    expect(dataOf(completed).file_size).toBe(4 * MiB);
    expect(server.log().some((line) => String(must(line).cause ?? '').includes('ENOSPC'))).toBe(true);
    await sql.end();
    expect(await server.stop()).toEqual({ code: 0, signal: null });
  },
);
