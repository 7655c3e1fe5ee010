import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { within } from '../helpers/deadline.js';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';

/**
 * What goes over a connection byte by byte. The server's rule for a request that can be read in two ways is to close
 * without an answer; nothing of what follows on the connection is ever taken for a request.
 */
const TIMEOUT_MS = 25_000; // uWebSockets ends a connection after 10 s without progress
const RSS_SLACK_BYTES = 64 * 1_024 * 1_024;

let server: Server;
let rest: Rest;
let account: Account;
let roomId: string;
let rssAtStart = 0;

beforeAll(async () => {
  server = await startServerWithDatabase();
  rest = restClient(server.url);
  account = await newAccount(rest);
  roomId = (await newRoom(rest, account)).id;
  rssAtStart = await residentBytes();
});

/** Whatever came: the server serves others, holds no more memory than before, and logs no error. */
afterEach(async () => {
  expect(dataOf(await rest.send(account.token, roomId, { content: 'still here' })).content).toBe(
    'still here',
  );
  expect(server.log().filter(({ level }) => level === 'error')).toEqual([]);
  expect((await residentBytes()) - rssAtStart).toBeLessThan(RSS_SLACK_BYTES);
});

async function residentBytes(): Promise<number> {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${server.pid}/status`, 'utf8'));
  return Number(line?.[1]) * 1_024;
}

interface Ended {
  readonly statuses: number[];
  readonly text: string;
}

/** Sends pieces as they stand, and gives all statuses up to the server's end of the connection, or to `answers` of them. */
function exchange(pieces: readonly (string | Buffer)[], answers = Number.POSITIVE_INFINITY): Promise<Ended> {
  const socket = connect({ port: server.port, host: '127.0.0.1' });
  const ended = new Promise<Ended>((resolve) => {
    let text = '';
    const seen = (): Ended => ({
      text,
      statuses: [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status)),
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (seen().statuses.length >= answers) resolve(seen());
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(seen()));
    for (const piece of pieces) socket.write(piece);
  });
  return within(ended, TIMEOUT_MS, 'the end of the connection').finally(() => socket.destroy());
}

const LIVE = 'GET /api/v1/health/live HTTP/1.1\r\nhost: a\r\n';
const LOGIN = 'POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n';
const UPGRADE =
  'GET /api/v1/ws HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
  'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const SMUGGLED = 'GET /api/v1/health/live HTTP/1.1\r\nhost: a\r\n\r\n';
const CHUNKED = `2\r\n{}\r\n0\r\n\r\n${SMUGGLED}`;

describe.concurrent('a request whose end can be read in two ways never lets another one in', () => {
  test.each<[string, string]>([
    [
      'Content-Length, then Transfer-Encoding',
      `${LOGIN}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      'Transfer-Encoding, then Content-Length',
      `${LOGIN}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n`,
    ],
    ['two lengths', `${LOGIN}content-length: 2\r\ncontent-length: 46\r\n\r\n{}`],
    ['twice the same length', `${LOGIN}content-length: 2\r\ncontent-length: 2\r\n\r\n{}`],
    ['a list of lengths', `${LOGIN}content-length: 2, 2\r\n\r\n{}`],
    ['a signed length', `${LOGIN}content-length: +2\r\n\r\n{}`],
    ['a negative length', `${LOGIN}content-length: -1\r\n\r\n{}`],
    ['a hexadecimal length', `${LOGIN}content-length: 0x2\r\n\r\n{}`],
    ['a length beyond 64 bits', `${LOGIN}content-length: 18446744073709551618\r\n\r\n{}`],
    ['an unknown coding', `${LOGIN}transfer-encoding: xchunked\r\n\r\n${CHUNKED}`],
    ['a coding behind chunked', `${LOGIN}transfer-encoding: chunked, identity\r\n\r\n${CHUNKED}`],
    ['a coding before chunked', `${LOGIN}transfer-encoding: gzip, chunked\r\n\r\n${CHUNKED}`],
    ['two codings', `${LOGIN}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n${CHUNKED}`],
    ['a body on GET with two lengths', `${LIVE}content-length: 0\r\ncontent-length: 46\r\n\r\n`],
    ['an empty length', `${LOGIN}content-length: \r\n\r\n{}`],
    ['an empty coding', `${LOGIN}transfer-encoding: \r\n\r\n{}`],
    ['two hosts', `${LIVE}host: b\r\n\r\n`],
    ['two hosts on an unknown path', 'GET /x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n'],
    ['an upgrade with two hosts', `${UPGRADE}host: a\r\nhost: b\r\n\r\n`],
    [
      'an upgrade of another origin, its host first',
      `${UPGRADE}host: evil.example\r\nhost: a\r\norigin: https://evil.example\r\n\r\n`,
    ],
    ['an upgrade with a body', `${UPGRADE}host: a\r\ncontent-length: 10\r\n\r\n`],
    ['two hosts and a body', `${LOGIN}host: b\r\ncontent-length: 2\r\n\r\n{}`],
    [
      'a length on an unknown path',
      'POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{',
    ],
  ])('%s', async (_name, request) => {
    const { statuses } = await exchange([request + SMUGGLED]);
    expect(statuses.filter((status) => status !== 400)).toEqual([]);
  });

  test.each<[string, string]>([
    ['a space before the colon', `${LOGIN}transfer-encoding : chunked\r\n\r\n${CHUNKED}`],
    ['a vertical tab before chunked', `${LOGIN}transfer-encoding: \x0bchunked\r\n\r\n${CHUNKED}`],
    ['a folded header', `${LIVE}x: a\r\n b: c\r\n\r\n`],
    ['a bare line feed', `${LIVE}x: a\ny: b\r\n\r\n`],
    ['a bare carriage return', `${LIVE}x: a\ry: b\r\n\r\n`],
    ['NUL', `${LIVE}x: a\0b\r\n\r\n`],
    ['a header without a colon', `${LIVE}xxxx\r\n\r\n`],
    ['a hundred headers', `${LIVE}${'x: y\r\n'.repeat(98)}\r\n`],
    ['no host', 'GET /api/v1/health/live HTTP/1.1\r\nx: a\r\n\r\n'],
    ['HTTP/1.0', 'GET /api/v1/health/live HTTP/1.0\r\nhost: a\r\n\r\n'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['an absolute target', 'GET http://b/api/v1/health/live HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['a chunk size that is none', `${LOGIN}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`],
    [
      'a chunk size beyond 64 bits',
      `${LOGIN}transfer-encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n`,
    ],
    ['trailers', `${LOGIN}transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx: y\r\n\r\n`],
  ])('%s in the head: refused or cut off, never served', { timeout: 40_000 }, async (_name, request) => {
    const { statuses } = await exchange([request + SMUGGLED]);
    expect(statuses.filter((status) => status < 400)).toEqual([]);
  });
});

describe('pipelining', () => {
  test('answers come in the order of the requests', async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `r${i}`);
    const requests = ids.map((id, i) =>
      i % 2 === 0
        ? `${LIVE}x-request-id: ${id}\r\n\r\n`
        : `GET /api/v1/users/me HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${account.token}\r\nx-request-id: ${id}\r\n\r\n`,
    );
    const { text, statuses } = await exchange([requests.join('')], ids.length);
    const answered = [...text.matchAll(/x-request-id: (r\d+)/g)].map(([, id]) => id);
    // uWebSockets takes one request at a time; what comes while it is answered is never answered out of turn.
    expect(ids.slice(0, answered.length)).toEqual(answered);
    expect(statuses.every((status) => status === 200)).toBe(true);
  });

  test('a body that was refused is not taken for the next request', async () => {
    const body = SMUGGLED.padEnd(100);
    const refused = `POST /api/v1/rooms HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const { statuses } = await exchange([`${refused}${LIVE}\r\n`], 2);
    expect(statuses).toEqual([401, 200]);
  });
});

describe.concurrent('who is slow is cut off', { timeout: 60_000 }, () => {
  const TRICKLE_MS = 400;

  test.each<[string, string, string]>([
    ['in the head', LIVE, 'x'],
    ['between headers', LIVE, 'x: y\r\n'],
    ['in a body', `${LOGIN}content-length: 100000\r\n\r\n`, 'x'],
    ['in chunks', `${LOGIN}transfer-encoding: chunked\r\n\r\n`, '1\r\nx\r\n'],
    [
      'in a body that was refused',
      'POST /api/v1/rooms HTTP/1.1\r\nhost: a\r\ncontent-length: 9999\r\n\r\n',
      'x',
    ],
    ['before the first byte', '', ''],
  ])('%s', async (_name, start, more) => {
    const socket = connect({ port: server.port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    socket.resume(); // an answer that nobody reads would keep the end from being seen
    socket.write(start);
    const timer = setInterval(() => socket.write(more), TRICKLE_MS);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await within(closed, TIMEOUT_MS, 'the end of the connection').finally(() => clearInterval(timer));
  });

  test('in an upload', async () => {
    const head =
      `POST /api/v1/rooms/${roomId}/attachments HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${account.token}\r\n` +
      'content-type: multipart/form-data; boundary=b\r\ncontent-length: 1000000\r\n\r\n' +
      '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n';
    const socket = connect({ port: server.port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(head);
    const timer = setInterval(() => socket.write('x'), TRICKLE_MS);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await within(closed, TIMEOUT_MS, 'the end of the connection').finally(() => clearInterval(timer));
  });
});
