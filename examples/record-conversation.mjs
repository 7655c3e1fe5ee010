/**
 * Records a conversation that survives kill -9: starts Parley with `npm start` on an empty directory, runs
 * conversation.mjs against it, kills the server with -9 when half of the messages are acknowledged, starts it again,
 * and lets the conversation finish. Prints the whole as a transcript; its exit code is the conversation's.
 *
 *     node examples/record-conversation.mjs [--messages 12] [--down 1000]
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const START_MAX_MS = 120_000; // the first start may have to build
const STOP_MAX_MS = 20_000;
const POLL_MS = 50;

const root = fileURLToPath(new URL('..', import.meta.url));
// Not made here: the server makes it so that the embedded database can enter it, also where root starts it.
const dataDir = join(tmpdir(), `parley-${randomBytes(6).toString('hex')}`);

let lastStarted = null; // the process of the last `npm start`

const say = (line) => process.stdout.write(`${line}\n`);

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The process that holds DATA_DIR: `npm start` is npm's process, the server is below it. */
async function serverPid() {
  const files = await readdir(join(dataDir, 'locks')).catch(() => []);
  const lock = files.find((file) => file.startsWith('server.'));
  return lock === undefined ? null : Number(lock.split('.')[1]);
}

/** Runs `npm start` and resolves when it listens. */
async function startServer(port) {
  say('$ npm start');
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    DATA_DIR: dataDir,
    SERVER_HOST: '127.0.0.1',
    SERVER_PORT: String(port),
    METRICS_PORT: '0',
  };
  const npm = spawn('npm', ['start', '--silent'], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  lastStarted = npm;
  const ended = once(npm, 'exit');
  const lines = [];
  const listening = new Promise((resolve) => {
    for (const stream of [npm.stdout, npm.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        if (line.includes('"event":"listening"')) resolve(line);
      });
    }
  });
  const timeOut = new AbortController();
  const line = await Promise.race([
    listening,
    ended.then(() => null),
    sleep(START_MAX_MS, null, { signal: timeOut.signal }).catch(() => null),
  ]);
  timeOut.abort();
  if (line === null) throw new Error(`the server didn't start:\n${lines.slice(-20).join('\n')}`);
  say(line);
  return { pid: await serverPid(), ended };
}

/** Whether an `npm start` of ours is still running. */
const isRunning = (npm) => npm?.exitCode === null && npm.signalCode === null;

/** Ends what a failed run leaves: the server, and else the database that outlives a killed server. */
async function cleanUp() {
  if (isRunning(lastStarted)) await endAndWait(await serverPid(), 'SIGTERM');
  const pidFile = await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').catch(() => '');
  await endAndWait(Number(pidFile.split('\n')[0]) || null, 'SIGINT');
  await rm(dataDir, { recursive: true, force: true });
}

async function endAndWait(pid, signal) {
  const giveUpAt = Date.now() + STOP_MAX_MS;
  try {
    if (pid !== null) process.kill(pid, signal);
    while (pid !== null && Date.now() < giveUpAt) {
      process.kill(pid, 0);
      await sleep(POLL_MS);
    }
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

async function main() {
  const { values } = parseArgs({
    options: { messages: { type: 'string', default: '12' }, down: { type: 'string', default: '1000' } },
  });
  const port = await freePort();
  let server = await startServer(port);

  const url = `http://127.0.0.1:${port}`;
  const args = ['examples/conversation.mjs', '--url', url, '--messages', values.messages];
  say(`\n$ node ${args.join(' ')}`);
  const talk = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  const talkEnded = once(talk, 'close');
  const printed = createInterface({ input: talk.stdout });
  let acked = 0;
  const half = new Promise((resolve) => {
    printed.on('line', (line) => {
      say(line);
      if (/ sent #/.test(line)) acked += 1;
      if (acked >= Number(values.messages) / 2) resolve(true);
    });
  });

  if (await Promise.race([half, talkEnded.then(() => false)])) {
    say(`\n$ kill -9 ${server.pid}`);
    process.kill(server.pid, 'SIGKILL');
    await server.ended;
    await sleep(Number(values.down));
    say('');
    server = await startServer(port);
    say('');
  }
  const [code] = await talkEnded;

  say(`\n$ kill ${server.pid}`);
  process.kill(server.pid, 'SIGTERM');
  const [exit] = await server.ended;
  say(`npm start ended with ${exit}`);
  return code === 0 && exit === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} finally {
  await cleanUp();
}
