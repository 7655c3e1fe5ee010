import postgres from 'postgres';
import { beforeAll, expect, test } from 'vitest';
import { must, until } from '../helpers/deadline.js';
import { newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import {
  type LogLine,
  type Server,
  spawnTracked,
  startServerWithDatabase,
} from '../helpers/server-process.js';
import { connect } from '../helpers/ws-client.js';

const FLOOD = 300;
const EQUAL_LINES_PER_SECOND = 20; // as in src/observability/logger.ts

let server: Awaited<ReturnType<typeof startServerWithDatabase>>;

beforeAll(async () => {
  server = await startServerWithDatabase({ PROCESSES: '2', SHARDS: '1' });
});

const lines = (event: string, of: Pick<Server, 'log'> = server): LogLine[] =>
  of.log().filter((line) => line.event === event);

function logLevel(level?: string): Promise<Response> {
  const url = `http://127.0.0.1:${server.metricsPort}/log-level`;
  return level === undefined ? fetch(url) : fetch(url, { method: 'PUT', body: level });
}

test('the level changes at run time in every process, by HTTP and by SIGUSR2, and other levels are refused', async () => {
  const rest = restClient(server.url);
  const account = await newAccount(rest);
  expect(lines('http_answered')).toEqual([]);
  expect((await logLevel('chatty')).status).toBe(400);
  expect((await logLevel('debug')).status).toBe(200);
  expect(await (await logLevel()).text()).toBe('debug\n');
  await until(async () => {
    await fetch(`${server.url}/api/v1/users/me`, {
      headers: { authorization: `Bearer ${account.token}`, connection: 'close' },
    });
    return new Set(lines('http_answered').map((line) => line.process)).size === 2;
  }, 'a debug line of each process');
  server.kill('SIGUSR2'); // debug → trace
  await until(() => lines('log_level_changed').some((line) => line.to === 'trace'), 'trace');
  expect((await logLevel('info')).status).toBe(200);
});

test('a failed REST request is found in its shard’s log by the id that the client got, a frame by its connection', async () => {
  const rest = restClient(server.url);
  const account = await newAccount(rest);
  const room = await newRoom(rest, account);
  const client = await connect({ wsUrl: server.wsUrl, token: account.token });
  const sql = postgres(server.database.url, { max: 1, onnotice: () => undefined });
  await sql`alter table room_members rename to room_members_away`;
  try {
    const answer = await fetch(`${server.url}/api/v1/rooms/${room.id}/members`, {
      headers: { authorization: `Bearer ${account.token}`, 'x-request-id': 'a-request-of-the-test' },
    });
    expect(answer.status).toBe(500);
    expect(await answer.json()).toMatchObject({ code: 'internal', request_id: 'a-request-of-the-test' });
    const refused = await client.request('join_room', {}, room.id);
    expect(refused.payload).toMatchObject({ code: 'internal' });
  } finally {
    await sql`alter table room_members_away rename to room_members`;
    await sql.end();
  }
  const failed = await until(
    () => lines('shard_error').find((line) => line.request_id === 'a-request-of-the-test'),
    'the line of the request',
  );
  expect(failed).toMatchObject({ route: 'list_members', thread: 'shard-0', process: expect.any(Number) });
  const frame = await until(
    () => lines('shard_error').find((line) => line.type === 'join_room'),
    'the frame’s',
  );
  expect(frame).toMatchObject({ conn: expect.any(Number), process: expect.any(Number) });
});

test('of a flood of equal lines some are written, and then how many were left out', async () => {
  await logLevel('debug');
  const token = (await newAccount(restClient(server.url))).token;
  const before = lines('http_answered').length;
  const begun = Date.now();
  const get = () => fetch(`${server.url}/api/v1/users/me`, { headers: { authorization: `Bearer ${token}` } });
  for (let sent = 0; sent < FLOOD; sent += 30) await Promise.all(Array.from({ length: 30 }, get));
  await logLevel('info');
  const leftOut = () =>
    lines('log_lines_left_out')
      .filter((line) => line.of === 'http_answered')
      .reduce((sum, line) => sum + Number(line.lines), 0);
  const written = () => lines('http_answered').length - before;
  await until(() => written() + leftOut() >= FLOOD, 'every line written or counted');
  const windows = Math.ceil((Date.now() - begun) / 1_000) + 1;
  expect(written()).toBeLessThanOrEqual(EQUAL_LINES_PER_SECOND * windows * 2); // two processes
  expect(leftOut()).toBeGreaterThan(0);
});

test('no password, token or message content is logged, at any level', async () => {
  await logLevel('trace');
  const rest = restClient(server.url);
  const account = await newAccount(rest, 'secretive');
  const room = await newRoom(rest, account);
  await rest.send(account.token, room.id, { content: 'the content of a message' });
  await rest.login({ email: account.email, password: 'a wrong password' });
  const client = await connect({ wsUrl: server.wsUrl, token: account.token, via: 'frame' });
  await client.request('send_message', { content: 'the content of a frame' }, room.id);
  await until(() => lines('http_answered').some((line) => line.route === 'login'), 'the line of the log-in');
  const text = server.lines.join('\n');
  const secrets = [account.password, 'a wrong password', account.token, account.refreshToken];
  for (const secret of [...secrets, 'the content of a message', 'the content of a frame']) {
    expect(text.includes(secret), secret).toBe(false);
  }
  await logLevel('info');
});

test('what is given to the logger under a secret’s name is written as [redacted], two levels down too', async () => {
  const program = `
    import { createLogger } from './dist/src/observability/logger.js';
    const log = createLogger('info', {});
    const secrets = { password: 'pw', token: 'tk', refresh_token: 'rt', authorization: 'au', content: 'ct', secret: 'st' };
    log.info({ event: 'told', ...secrets, body: secrets, call: { body: secrets } });`;
  const logger = spawnTracked(process.execPath, ['--input-type=module', '--eval', program], {});
  await logger.exit;
  const line = must(lines('told', { log: logger.log })[0]);
  const redacted = Object.fromEntries(
    ['password', 'token', 'refresh_token', 'authorization', 'content', 'secret'].map((name) => [
      name,
      '[redacted]',
    ]),
  );
  expect(line).toMatchObject({ ...redacted, body: redacted, call: { body: redacted } });
});
