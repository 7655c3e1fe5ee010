/**
 * What a large file costs the server's memory: uploads one and downloads it, with the server's resident memory read
 * all along. Growth is counted from what the server has after a small file has gone both ways. `npm run bench:uploads -- --help`. Exit codes: 0 the memory grew by less than the mark, 1 by more, 2 the
 * run couldn't be made.
 */
import { createHash, type Hash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { parseArgs } from 'node:util';
import { sleep } from '../load/clock.js';
import { asMembers, asString } from '../load/frame-read.js';
import { readMachineFacts } from '../load/machine.js';
import { readRss } from '../load/proc-files.js';
import { createRestClient } from '../load/rest-client.js';
import { startServer } from '../load/server-process.js';
import { say } from '../load/terminal.js';

const USAGE = `npm run bench:uploads -- [options]

  --mib N            size of the file in MiB (1024)
  --warm-up-mib N    of one before it, up and down, after which memory counts (64)
  --mark N           MB by which the memory may grow (50)
  --rounds N         how often (2)
  --database-url U   given to the server as DATABASE_URL
  --help

STORAGE_* of the environment say where the files go; default: the server's own disk.`;

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    'warm-up-mib': { type: 'string', default: '64' },
    mark: { type: 'string', default: '50' },
    rounds: { type: 'string', default: '2' },
    'database-url': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const MIB = 1_048_576;
const MB = 1_000_000;
const WATCH_MS = 20; // between two looks at the memory
const PIECE = randomBytes(MIB);
const BOUNDARY = 'a-boundary-of-the-bench';

interface Caller {
  readonly origin: string;
  readonly token: string;
  readonly room: string;
}

/** What a transfer took, and the most memory the server had meanwhile, in bytes. */
interface Passage {
  readonly seconds: number;
  readonly peak: number;
}

async function watched<T>(pid: number, work: Promise<T>): Promise<Passage & { readonly result: T }> {
  const began = performance.now();
  let peak = 0;
  let isOver = false;
  const look = async (): Promise<void> => {
    while (!isOver) {
      peak = Math.max(peak, readRss(pid) ?? 0);
      await sleep(WATCH_MS);
    }
  };
  const looking = look();
  const result = await work.finally(() => {
    isOver = true;
  });
  await looking;
  return { result, peak, seconds: (performance.now() - began) / 1_000 };
}

/** @returns the attachment's link */
function upload({ origin, token, room }: Caller, mib: number, hash: Hash): Promise<{ link: string }> {
  const head = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="big.bin"\r\ncontent-type: application/octet-stream\r\n\r\n`;
  const tail = `\r\n--${BOUNDARY}--\r\n`;
  return new Promise((resolve, reject) => {
    const outgoing = request(`${origin}/api/v1/rooms/${room}/attachments`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
        'content-length': head.length + mib * MIB + tail.length,
      },
    });
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      let body = '';
      incoming.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      incoming.on('end', () => {
        const data = asMembers(asMembers(JSON.parse(body)).data);
        const link = asString(data.storage_url);
        if (link === undefined) reject(new Error(`refused: ${body}`));
        else resolve({ link });
      });
    });
    const write = async (): Promise<void> => {
      outgoing.write(head);
      for (let i = 0; i < mib; i++) {
        hash.update(PIECE);
        await new Promise<void>((done, failed) => {
          outgoing.write(PIECE, (error) => (error ? failed(error) : done()));
        });
      }
      outgoing.end(tail);
    };
    write().catch(reject);
  });
}

async function download({ origin }: Caller, link: string, hash: Hash): Promise<void> {
  const { body, status } = await fetch(new URL(link, origin));
  if (body === null || status !== 200) throw new Error(`the download was answered ${status}`);
  for await (const chunk of body) hash.update(chunk as Uint8Array);
}

async function makeCaller(origin: string): Promise<Caller> {
  const rest = createRestClient(origin);
  const account = {
    username: 'uploader',
    email: 'uploader@example.com',
    password: 'a-password-of-the-bench',
  };
  const registered = await rest.call('POST', '/auth/register', undefined, account);
  const token = asString(registered.token) ?? '';
  const room = await rest.call('POST', '/rooms', token, { name: 'uploads', type: 'private' });
  return { origin, token, room: asString(room.id) ?? '' };
}

async function main(): Promise<void> {
  const [mib, warmUpMib, rounds] = [Number(values.mib), Number(values['warm-up-mib']), Number(values.rounds)];
  const server = await startServer(values['database-url'], undefined, {
    MAX_UPLOAD_BYTES: String(Math.max(mib, warmUpMib) * MIB),
    UPLOADS_PER_MINUTE: '0',
  });
  try {
    console.log(JSON.stringify(await readMachineFacts(undefined)));
    const caller = await makeCaller(server.origin);
    const watch = <T>(work: Promise<T>) => watched(server.pid, work);
    say(`server: ${toMb(readRss(server.pid) ?? 0)} MB`);
    console.log(`\n| | MiB | MiB/s | most MB | growth MB |\n| --- | --: | --: | --: | --: |`);
    const warmUp = await watch(upload(caller, warmUpMib, createHash('sha256')));
    show('up, to warm up', warmUpMib, warmUp, null);
    let { link } = warmUp.result;
    const warmDown = await watch(download(caller, link, createHash('sha256')));
    show('down, to warm up', warmUpMib, warmDown, null);
    const base = readRss(server.pid) ?? 0;
    say(`after the warm-up: ${toMb(base)} MB`);
    let sent = createHash('sha256');
    for (let round = 0; round < rounds; round++) {
      sent = createHash('sha256');
      const passage = await watch(upload(caller, mib, sent));
      ({ link } = passage.result);
      show('up', mib, passage, passage.peak - base);
    }
    const digest = sent.digest('hex');
    for (let round = 0; round < rounds; round++) {
      const got = createHash('sha256');
      const passage = await watch(download(caller, link, got));
      if (got.digest('hex') !== digest) throw new Error('what came back is not what was sent');
      show('down', mib, passage, passage.peak - base);
    }
  } finally {
    await server.stop();
  }
}

/** Prints one line of the table. @param growth bytes over what there was after the warm-up; null: it is the warm-up */
function show(name: string, mib: number, { seconds, peak }: Passage, growth: number | null): void {
  const row = [name, mib, (mib / seconds).toFixed(0), toMb(peak), growth === null ? '' : toMb(growth)];
  console.log(`| ${row.join(' | ')} |`);
  if (growth !== null && growth > Number(values.mark) * MB) process.exitCode = 1;
}

function toMb(bytes: number): string {
  return (bytes / MB).toFixed(1);
}

if (values.help) console.log(USAGE);
else
  await main().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 2;
  });
