import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import postgres from 'postgres';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { lockDataDir } from '../../src/lib/data-dir-lock.js';
import { isProcessAlive } from '../../src/lib/process-identity.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/store/embedded-postgres.js';

const root = join(import.meta.dirname, '..', '..');
const started: EmbeddedPostgres[] = [];
const children: ChildProcess[] = [];
const tempDirs: string[] = [];

function tempDir(mode = 0o755): string {
  const dir = mkdtempSync(join(tmpdir(), 'parley-pg-'));
  chmodSync(dir, mode);
  tempDirs.push(dir);
  return dir;
}

async function start(dataDir: string, nativeDir?: string): Promise<EmbeddedPostgres> {
  const running = await startEmbeddedPostgres({
    dataDir,
    log: () => {},
    ...(nativeDir ? { nativeDir } : {}),
  });
  started.push(running);
  return running;
}

async function query<T>(url: string, run: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await run(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const giveUpAt = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > giveUpAt) throw new Error(`not within 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const pidFile = (dataDir: string): string => join(dataDir, 'postgres', 'postmaster.pid');
const postmasterPid = (dataDir: string): number =>
  Number(readFileSync(pidFile(dataDir), 'utf8').split('\n')[0]);

/** A server of its own: takes DATA_DIR, starts the database, says the url, stays. */
function spawnServer(dataDir: string): ChildProcess {
  const code = `
    const { lockDataDir } = await import('./dist/src/lib/data-dir-lock.js');
    const { startEmbeddedPostgres } = await import('./dist/src/store/embedded-postgres.js');
    const dataDir = process.argv[1];
    await lockDataDir(dataDir);
    const { url } = await startEmbeddedPostgres({ dataDir, log: () => {} });
    console.log(url);
    setInterval(() => {}, 1_000);`;
  const args = ['--input-type=module', '-e', code, dataDir];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function kill9(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

beforeAll(() => {
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'inherit' });
}, 120_000);

afterEach(async () => {
  await Promise.all(
    children
      .splice(0)
      .map((child) => (child.exitCode === null && child.signalCode === null ? kill9(child) : null)),
  );
  await Promise.all(started.splice(0).map((running) => running.stop().catch(() => undefined)));
  for (const dir of tempDirs.splice(0)) {
    const data = existsSync(pidFile(dir)) ? postmasterPid(dir) : 0;
    if (data > 1 && data !== process.pid && isProcessAlive(data)) process.kill(data, 'SIGQUIT');
    rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}, 60_000);

describe('the embedded PostgreSQL', { timeout: 60_000 }, () => {
  it('gives a durable UTF-8 database on loopback, and keeps it through a restart', async () => {
    const dataDir = tempDir();
    const first = await start(dataDir);
    expect(first.adopted).toBe(false);
    expect(new URL(first.url).hostname).toBe('127.0.0.1');
    const settings = await query(first.url, async (sql) => {
      await sql`create table kept (text text)`;
      await sql`insert into kept values ('Grüße 👋')`;
      return sql`select name, setting from pg_settings
        where name in ('fsync', 'synchronous_commit', 'server_encoding', 'listen_addresses', 'password_encryption')`;
    });
    expect(Object.fromEntries(settings.map((row) => [row.name, row.setting]))).toEqual({
      fsync: 'on',
      synchronous_commit: 'on',
      server_encoding: 'UTF8',
      listen_addresses: '127.0.0.1',
      password_encryption: 'scram-sha-256',
    });
    await Promise.all([first.stop(), first.stop()]);
    await first.stop();
    expect(existsSync(pidFile(dataDir))).toBe(false);

    const second = await start(dataDir);
    expect(second.adopted).toBe(false);
    expect(await query(second.url, (sql) => sql`select text from kept`)).toEqual([{ text: 'Grüße 👋' }]);
  });

  it('keeps its password to its owner, and lets nobody in with another', async () => {
    const dataDir = tempDir();
    const { url } = await start(dataDir);
    const file = join(dataDir, 'postgres.password');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(new URL(url).password).toBe(readFileSync(file, 'utf8').trim());
    const wrong = new URL(url);
    wrong.password = 'wrong';
    await expect(query(wrong.href, (sql) => sql`select 1`)).rejects.toMatchObject({ code: '28P01' });
  });

  it('adopts the postmaster that a server killed with -9 left behind, and stops it', async () => {
    const dataDir = tempDir();
    const server = spawnServer(dataDir);
    const [line] = (await once(server.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
    const url = line.toString().trim();
    await query(url, (sql) => sql`create table kept as select 1 as n`);
    const pid = postmasterPid(dataDir);
    await kill9(server);
    expect(isProcessAlive(pid)).toBe(true);

    await (await lockDataDir(dataDir)).release();
    const adopted = await start(dataDir);
    expect(adopted).toMatchObject({ adopted: true, url });
    expect(postmasterPid(dataDir)).toBe(pid);
    expect(await query(adopted.url, (sql) => sql`select n from kept`)).toEqual([{ n: 1 }]);
    await adopted.stop();
    expect(isProcessAlive(pid)).toBe(false);
  });

  it('recovers what was committed when postmaster and server are killed with -9', async () => {
    const dataDir = tempDir();
    const { url } = await start(dataDir);
    await query(url, async (sql) => {
      await sql`create table kept (n int)`;
      await sql`insert into kept select generate_series(1, 1000)`;
    });
    const pid = postmasterPid(dataDir);
    process.kill(pid, 'SIGKILL');
    await until('the postmaster is dead', () => !isProcessAlive(pid));
    expect(existsSync(pidFile(dataDir))).toBe(true);
    const again = await start(dataDir);
    expect(again.adopted).toBe(false);
    expect(await query(again.url, (sql) => sql`select count(*)::int as n from kept`)).toEqual([{ n: 1000 }]);
  });

  it('starts over a postmaster.pid whose number is another process by now', async () => {
    const dataDir = tempDir();
    await (await start(dataDir)).stop();
    // Of the postmaster's own user where there is one: PostgreSQL itself takes such a process for a live postmaster.
    const owner = statSync(join(dataDir, 'postgres'));
    const bystander = spawn('sleep', ['300'], { uid: owner.uid, gid: owner.gid, cwd: '/' });
    children.push(bystander);
    const lines = [bystander.pid, join(dataDir, 'postgres'), 1, 1, '', '127.0.0.1', ' 1 1', 'ready'];
    writeFileSync(pidFile(dataDir), `${lines.join('\n')}\n`);
    const { adopted } = await start(dataDir);
    expect(adopted).toBe(false);
    expect(isProcessAlive(bystander.pid as number)).toBe(true);
  });

  it('has one postmaster a directory, however many start at once', async () => {
    const dataDir = tempDir();
    const all = await Promise.all([start(dataDir), start(dataDir), start(dataDir)]);
    expect(all.map((running) => running.adopted).sort()).toEqual([false, true, true]);
    expect(new Set(all.map((running) => running.url)).size).toBe(1);
  });

  it('starts after an initdb that was killed half-way', async () => {
    const dataDir = tempDir();
    const server = spawnServer(dataDir);
    const halfWay = (): boolean =>
      readdirSync(dataDir).some(
        (name) => name.startsWith('postgres.init-') && existsSync(join(dataDir, name, 'cluster', 'base')),
      );
    await until('initdb is at work', halfWay);
    await kill9(server);
    expect(existsSync(join(dataDir, 'postgres'))).toBe(false);
    const { url } = await start(dataDir);
    expect(await query(url, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    expect(readdirSync(dataDir).filter((name) => name.includes('init'))).toEqual([]);
  });

  it('says what PostgreSQL logged when it does not start', async () => {
    const dataDir = tempDir();
    await (await start(dataDir)).stop();
    writeFileSync(join(dataDir, 'postgres', 'PG_VERSION'), '9\n');
    await expect(start(dataDir)).rejects.toThrow(/didn't start: it ended with code 1\n[\s\S]*version 9/);
  });

  it('refuses a cluster whose password is lost, and says what to do', async () => {
    const dataDir = tempDir();
    await (await start(dataDir)).stop();
    rmSync(join(dataDir, 'postgres.password'));
    await expect(start(dataDir)).rejects.toThrow(/postgres\.password is gone.*restore it/);
  });

  it.runIf(process.getuid?.() === 0)(
    'runs for root where its user may enter neither binaries nor data',
    async () => {
      const closed = tempDir(0o700);
      const nativeDir = join(closed, 'native');
      const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
      const index = createRequire(wrapper).resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
      cpSync(join(dirname(index), '..', 'native'), nativeDir, { recursive: true, verbatimSymlinks: true });
      const dataDir = join(closed, 'data');
      mkdirSync(dataDir, { mode: 0o700 });
      const { url } = await start(dataDir, nativeDir);
      const rows = await query(url, (sql) => sql`select to_tsvector('english', 'running')::text as vector`);
      expect(rows).toEqual([{ vector: "'run':1" }]); // a stemmer is a library loaded from the closed directory
      expect(statSync(join(dataDir, 'postgres')).uid).not.toBe(0);
    },
  );
});

describe('the lock on DATA_DIR', { timeout: 60_000 }, () => {
  it('refuses a second server and names the first, until the first is killed', async () => {
    const dataDir = tempDir();
    const server = spawnServer(dataDir);
    await once(server.stdout as NodeJS.ReadableStream, 'data');
    await expect(lockDataDir(dataDir)).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE', pid: server.pid });
    await expect(lockDataDir(dataDir)).rejects.toThrow(`pid ${server.pid}`);
    await kill9(server);
    const lock = await lockDataDir(dataDir);
    lock.release();
    lock.release();
    await start(dataDir); // adopts, so that the clean-up stops it
  });

  it('is not held by a process that only has the number of a dead one', async () => {
    const dataDir = tempDir();
    (await lockDataDir(dataDir)).release();
    writeFileSync(join(dataDir, 'locks', `server.${process.ppid}.0000000000000000.1`), 'held');
    (await lockDataDir(dataDir)).release();
    expect(readdirSync(join(dataDir, 'locks'))).toEqual([]);
  });

  it('goes to one of many who ask at once', async () => {
    const dataDir = tempDir();
    const asked = await Promise.allSettled(Array.from({ length: 20 }, () => lockDataDir(dataDir)));
    expect(asked.filter((answer) => answer.status === 'fulfilled')).toHaveLength(1);
  });
});
