import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { answerPolicy } from '../../src/front/answer-policy.js';
import { openExchange } from '../../src/front/http-exchange.js';
import { createUnreadAnswers } from '../../src/front/unread-answers.js';
import { uWS } from '../../src/front/uws.js';
import { must, until, within } from '../helpers/deadline.js';

/** Exchanges on real sockets whose clients don't read; what the kernel takes of an answer is less than LARGE. */
const LARGE = Buffer.alloc(24 * 1_024 * 1_024, 'abcdefghijklmnopqrstuvwxyz');
const MEDIUM_BYTES = 80_000; // as the demo client's script
const TIMEOUT_MS = 15_000; // uWebSockets ends a connection on which nothing moves after 10 s

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) each.close();
});

type Limits = Parameters<typeof createUnreadAnswers>[1];

/** A server that answers /large and /medium by exchanges, with what it holds and how often it refused. */
async function world(limits: Limits = {}) {
  const answered: string[] = [];
  const unread = createUnreadAnswers(() => answered.push('refused'), limits);
  const policy = answerPolicy({ allowedOrigins: [], isHttps: false, trustProxy: [] }, unread);
  const app = uWS.App();
  const serve = (path: string, body: Uint8Array) =>
    app.get(path, (res, req) => {
      const exchange = openExchange(res, req, policy);
      exchange.whenAnswered((code) => answered.push(code));
      exchange.answer({ status: 200, body });
    });
  serve('/large', LARGE);
  serve('/medium', LARGE.subarray(0, MEDIUM_BYTES));
  const port = await new Promise<number>((resolve) => {
    app.listen('127.0.0.1', 0, (socket) => resolve(uWS.us_socket_local_port(must(socket || undefined))));
  });
  opened.push(app);
  const client = (localAddress = '127.0.0.1'): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      socket.on('error', () => undefined);
      socket.once('error', reject).once('connect', () => resolve(socket));
      opened.push({ close: () => socket.destroy() });
      socket.pause();
    });
  return { unread, answered, client };
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;
const closed = (socket: Socket): Promise<unknown> =>
  within(new Promise((resolve) => socket.once('close', resolve)), TIMEOUT_MS, 'the end of the connection');

/** The whole body of the next answer, once it is as long as LARGE. */
function bodyOf(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let missing = LARGE.length;
  return new Promise((resolve) => {
    socket.on('data', function read(chunk: Buffer) {
      const head = chunks.length === 0 ? chunk.indexOf('\r\n\r\n') + 4 : 0;
      chunks.push(chunk.subarray(head));
      missing -= chunk.length - head;
      if (missing > 0) return;
      socket.off('data', read);
      resolve(Buffer.concat(chunks));
    });
  });
}

test('what a client has yet to read is held, comes whole when it reads, and is then held no more', async () => {
  const { unread, client } = await world({ ofAddressMaxBytes: 2 * LARGE.length });
  const socket = await client();
  socket.write(get('/large'));
  await until(() => unread.bytes() > 0, 'bytes that are held');
  expect(unread.bytes()).toBeLessThan(LARGE.length);
  socket.resume();
  const body = await within(bodyOf(socket), TIMEOUT_MS, 'the body');
  expect(Buffer.compare(body, LARGE)).toBe(0);
  expect(unread.bytes()).toBe(0);
  const again = bodyOf(socket);
  socket.write(get('/large')); // the connection lives on
  expect((await within(again, TIMEOUT_MS, 'the next body')).length).toBe(LARGE.length);
});

test('who has too much unread is refused, another address is served, and place comes back with the connection’s end', async () => {
  const { unread, answered, client } = await world({
    maxBytes: 4 * LARGE.length,
    ofAddressMaxBytes: 1.5 * LARGE.length,
  });
  const [first, second, other] = [await client(), await client(), await client('127.0.0.9')];
  first.write(get('/large'));
  await until(() => unread.bytes() > LARGE.length / 2, 'an answer that is held');
  second.write(get('/large'));
  const refusal = new Promise((resolve) => second.once('data', (data) => resolve(String(data))));
  second.resume();
  expect(await refusal).toMatch(/^HTTP\/1\.1 503 (.|\r|\n)*retry-after: 1(.|\r|\n)*"code":"overloaded"/);
  expect(answered).toEqual(['ok', 'refused', 'overloaded']);
  const body = bodyOf(other);
  other.resume();
  other.write(get('/large'));
  expect((await within(body, TIMEOUT_MS, 'the body')).length).toBe(LARGE.length);
  first.destroy();
  await until(() => unread.bytes() === 0, 'nothing held');
  second.write(get('/large'));
  await until(() => answered.at(-1) === 'ok', 'an answer for the address');
});

test('all addresses together have a bound too', async () => {
  const { unread, answered, client } = await world({
    maxBytes: 1.5 * LARGE.length,
    ofAddressMaxBytes: 4 * LARGE.length,
  });
  (await client()).write(get('/large'));
  await until(() => unread.bytes() > LARGE.length / 2, 'an answer that is held');
  (await client('127.0.0.9')).write(get('/large'));
  await until(() => answered.length > 1, 'the second answer');
  expect(answered).toEqual(['ok', 'refused', 'overloaded']);
});

test('who hasn’t read an answer in time is cut off, though he reads on slowly', async () => {
  const { unread, client } = await world({ ofAddressMaxBytes: 2 * LARGE.length, withinMs: 1_000 });
  const socket = await client();
  const end = closed(socket);
  socket.write(get('/large'));
  await until(() => unread.bytes() > 0, 'bytes that are held');
  const timer = setInterval(() => socket.read(10_000), 50);
  await until(() => unread.bytes() === 0, 'nothing held');
  clearInterval(timer);
  socket.resume();
  await end;
});

test('of requests sent one after the other by who reads nothing, one answer is held, and the connection ends', async () => {
  const { unread, answered, client } = await world();
  const socket = await client();
  const end = closed(socket);
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, unread.bytes());
  }, 1);
  const before = process.memoryUsage().rss;
  socket.write(get('/medium').repeat(5_000)); // 400 MB
  await until(() => answered.length > 1 && unread.bytes() === 0, 'the end of the answers');
  socket.resume();
  await end;
  clearInterval(timer);
  expect(most).toBeLessThanOrEqual(MEDIUM_BYTES);
  expect(answered.length).toBeLessThan(1_000);
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1_024 * 1_024);
});
