import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { loadConfig } from '../../src/config.js';
import type { CpuResult } from '../../src/front/cpu-pool.js';
import { createLogger } from '../../src/observability/logger.js';
import { createTestDatabase } from '../helpers/database.js';

/** Bounds of docs/limits.md on the way to other threads: the front's ends of them, which start the built threads. */
const built = '../../dist/src/front';
const { createCpuPool } = (await import(
  `${built}/cpu-pool.js`
)) as typeof import('../../src/front/cpu-pool.js');
const { startTransfer } = (await import(
  `${built}/transfer-link.js`
)) as typeof import('../../src/front/transfer-link.js');

const cheapPool = () =>
  createCpuPool({
    cost: { memoryKib: 1_024, passes: 1 },
    onError: (error) => {
      throw error;
    },
    done: () => undefined,
  });

test('64 password hashes wait for a thread; those beyond are overloaded, and the rest is done', async () => {
  const pool = cheapPool();
  const results = await Promise.all(
    Array.from({ length: 200 }, () => pool.runCpu({ op: 'hash_password', password: 'a password' })),
  );
  const count = (matches: (result: CpuResult) => boolean) => results.filter(matches).length;
  const done = count(({ ok }) => ok);
  expect(done).toBeGreaterThanOrEqual(64);
  expect(done).toBeLessThanOrEqual(64 + 4); // those that threads have begun
  expect(count((result) => !result.ok && result.overloaded)).toBe(200 - done);
  await pool.close();
});

test('2,048 exchanges with the transfer thread are under way at once; the next is overloaded', async () => {
  const database = await createTestDatabase();
  const loaded = loadConfig({
    NODE_ENV: 'test',
    DATABASE_URL: database.url,
    DATA_DIR: mkdtempSync(join(inject('runDirectory'), 'transfer-')),
    JWT_SECRET: 'x'.repeat(32),
  });
  if (!loaded.ok) throw new Error(loaded.mistakes.join('\n'));
  const { config } = loaded;
  const cpu = cheapPool();
  const link = startTransfer({
    ...{ config, cpu, databaseUrl: database.url, jwtSecret: 'x'.repeat(32), index: 0 },
    log: createLogger('silent', {}),
  });
  const ask = () => {
    const asked = {
      t: 'download',
      of: { token: 'none' },
      head: false,
      range: '',
      ifRange: '',
      ifNoneMatch: '',
    } as const;
    return new Promise<number>((resolve) => {
      link.open(asked, { answered: ({ status }) => resolve(status) });
    });
  };
  const all = Array.from({ length: 2_049 }, ask);
  expect(link.underway()).toBe(2_048);
  expect(await all.at(-1)).toBe(503);
  expect(new Set(await Promise.all(all.slice(0, -1)))).toEqual(new Set([403]));
  expect([link.underway(), await ask()]).toEqual([0, 403]);
  await link.drain();
  await link.close();
  await cpu.close();
  await database.drop();
});
