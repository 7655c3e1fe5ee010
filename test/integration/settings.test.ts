import { describe, expect, test } from 'vitest';
import { createTestDatabase } from '../helpers/database.js';
import { DEADLINE_MS, within } from '../helpers/deadline.js';
import { spawnServer, startServer } from '../helpers/server-process.js';

const EX_CONFIG = 78; // sysexits.h

/** What a server says that refuses its settings. */
async function refusedBy(env: Record<string, string>): Promise<string[]> {
  const server = await spawnServer(env);
  expect(await within(server.exit, 2 * DEADLINE_MS, 'the exit')).toEqual({ code: EX_CONFIG, signal: null });
  return [...server.lines];
}

describe('a server with mistakes in its settings', () => {
  test('names every one of them once, listens nowhere, and exits with 78', async () => {
    const lines = await refusedBy({
      SERVER_PORT: 'http',
      LOG_LEVEL: 'loud',
      SHARDS: '0',
      JWT_EXPIRATION: '2 fortnights',
      PASSWORD_HASH_PASSES: '0',
      ALLOWED_ORIGINS: 'not an origin',
      MAX_BODY_BYTES: 'much',
    });
    for (const name of [
      'SERVER_PORT',
      'LOG_LEVEL',
      'SHARDS',
      'JWT_EXPIRATION',
      'PASSWORD_HASH_PASSES',
      'ALLOWED_ORIGINS',
      'MAX_BODY_BYTES',
    ]) {
      expect(lines.filter((line) => line.includes(`${name}:`))).toHaveLength(1);
    }
    expect(lines.some((line) => line.includes('listening'))).toBe(false);
  });

  test('never prints a secret', async () => {
    const lines = await refusedBy({
      JWT_SECRET: 'too-short-secret',
      DATABASE_URL: 'mysql://me:hidden@host/db', // secretlint-disable-line
    });
    const text = lines.join('\n');
    expect(text).toContain('JWT_SECRET');
    expect(text).toContain('DATABASE_URL');
    expect(text).not.toContain('too-short-secret');
    expect(text).not.toContain('hidden');
  });

  test('in production refuses every development default', async () => {
    const text = (await refusedBy({ NODE_ENV: 'production', JWT_SECRET: '', DATABASE_URL: '' })).join('\n');
    expect(text).toContain('JWT_SECRET');
    expect(text).toContain('DATABASE_URL');
  });
});

test('a server with correct settings says on one line where it listens', async () => {
  const database = await createTestDatabase();
  const server = await startServer({ env: { DATABASE_URL: database.url } });
  const lines = server.log().filter((line) => line.event === 'listening');
  expect(lines).toHaveLength(1);
  expect(server.port).toBeGreaterThan(0);
  expect(server.metricsPort).toBeGreaterThan(0);
  expect(server.metricsPort).not.toBe(server.port);
  expect(await server.stop()).toEqual({ code: 0, signal: null });
  await database.drop();
});
