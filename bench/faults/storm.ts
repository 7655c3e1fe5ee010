/**
 * Everybody reconnects at once: clients in several processes join a room, the server is killed and started again, messages
 * are sent meanwhile, and all of them have to be back with nothing missed. `node dist/bench/faults/storm.js --clients 10000`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.js';
import { startServer } from '../load/server-process.js';
import type { StormOrder, StormReport } from './storm-loader.js';

const CLIENTS_PER_PROCESS = 2_500;
const USERS = 50; // each with many devices
const MISSED = 100; // messages sent while nobody is connected

async function post<T>(origin: string, path: string, body: unknown, token?: string): Promise<T> {
  const response = await fetch(`${origin}/api/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify(body),
  });
  const answer = (await response.json()) as { success: boolean; data: T };
  if (!answer.success) throw new Error(`${path}: ${JSON.stringify(answer)}`);
  return answer.data;
}

async function scene(origin: string): Promise<{ room: string; tokens: string[] }> {
  const people: { user: { id: string }; token: string }[] = [];
  for (let i = 0; i < USERS; i++) {
    const username = `storm-${i}-${Math.random().toString(36).slice(2, 8)}`;
    const body = { username, email: `${username}@example.org`, password: 'a long password' };
    people.push(await post(origin, '/auth/register', body));
  }
  const tokens = people.map(({ token }) => token);
  const member_ids = people.slice(1).map(({ user }) => user.id);
  const { id } = await post<{ id: string }>(
    origin,
    '/rooms',
    { name: 'storm', type: 'public', member_ids },
    tokens[0],
  );
  return { room: id, tokens };
}

async function storm(
  loaders: readonly ChildProcess[],
  order: StormOrder,
  clients: number,
): Promise<StormReport> {
  const share = Math.ceil(clients / loaders.length);
  const reports = await Promise.all(
    loaders.map(
      (loader, i) =>
        new Promise<StormReport>((resolve) => {
          loader.once('message', resolve);
          loader.send({ ...order, clients: Math.min(share, clients - i * share) });
        }),
    ),
  );
  return {
    joinedMs: reports.flatMap(({ joinedMs }) => joinedMs).sort((a, b) => a - b),
    attempts: reports.reduce((sum, { attempts }) => sum + attempts, 0),
    revs: [Math.min(...reports.map(({ revs }) => revs[0])), Math.max(...reports.map(({ revs }) => revs[1]))],
  };
}

function tell(what: string, { joinedMs, attempts, revs }: StormReport): void {
  const at = (share: number) => Math.round(joinedMs[Math.ceil(joinedMs.length * share) - 1] ?? 0);
  console.log(
    `${what}: ${joinedMs.length} joined, ${attempts} attempts, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, all ${at(1)} ms, ` +
      `revs ${revs[0]}–${revs[1]}`,
  );
}

async function run(clients: number): Promise<void> {
  process.env.JWT_SECRET = 'a secret of the storm that is long enough';
  const directory = await mkdtemp(join(tmpdir(), 'parley-storm-'));
  await chmod(directory, 0o755);
  const database = await startEmbeddedPostgres({ dataDir: directory, log: () => undefined });
  const file = fileURLToPath(new URL('./storm-loader.js', import.meta.url));
  const loaders = Array.from({ length: Math.ceil(clients / CLIENTS_PER_PROCESS) }, () => fork(file));
  let server = await startServer(database.url);
  try {
    const { room, tokens } = await scene(server.origin);
    tell('first', await storm(loaders, { origin: server.origin, tokens, room, clients }, clients));
    process.kill(server.pid, 'SIGKILL');
    await server.stop();
    server = await startServer(database.url);
    for (let i = 0; i < MISSED; i++)
      await post(server.origin, `/rooms/${room}/messages`, { content: `missed ${i}` }, tokens[0]);
    const back = await storm(loaders, { origin: server.origin, tokens, room, clients }, clients);
    tell('again', back);
    if (back.revs[0] < MISSED) process.exitCode = 1;
  } finally {
    for (const loader of loaders) loader.disconnect();
    await server.stop();
    await database.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

const { values } = parseArgs({ options: { clients: { type: 'string', default: '10000' } } });
await run(Number(values.clients));
process.exit();
