import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Config, loadConfig } from '../../src/config.js';
import { defaultDbPoolSize, SETTING_SECTIONS, SETTINGS } from '../../src/config-settings.js';

const SECRET = 'correct-horse-battery-staple-0123456789';

function load(env: Readonly<Record<string, string>>): Config {
  const loaded = loadConfig(env);
  if (!loaded.ok) throw new Error(loaded.mistakes.join('\n'));
  return loaded.config;
}

function mistakesOf(env: Readonly<Record<string, string>>): string[] {
  const loaded = loadConfig(env);
  return loaded.ok ? [] : loaded.mistakes;
}

describe('the configuration', () => {
  it('has the defaults of PROTOCOL §6', () => {
    const shards = Math.min(22, Math.max(1, availableParallelism() - 1));
    expect(load({})).toEqual({
      nodeEnv: 'development',
      logLevel: 'info',
      dataDir: resolve('data'),
      server: { host: '0.0.0.0', port: 8080 },
      metrics: { host: '127.0.0.1', port: 9090 },
      database: null,
      redis: null,
      storage: { type: 'local', directory: resolve('data/attachments'), isOwn: true },
      attachments: {
        allowedTypes: expect.arrayContaining(['image/png', 'audio/*', 'text/plain']),
        urlLifeMs: 900_000,
        publicUrl: null,
        quotaBytes: 0,
      },
      jwt: {
        secret: null,
        previousSecrets: [],
        expirationMs: 86_400_000,
        refreshExpirationMs: 30 * 86_400_000,
      },
      processes: 1,
      shards,
      dbPoolSize: defaultDbPoolSize(shards),
      searchLanguage: 'simple',
      allowedOrigins: [],
      tls: null,
      isHttps: false,
      trustProxy: [],
      limits: {
        restPerMinute: 100,
        authPerMinute: 10,
        wsSendsPerSecond: 20,
        maxConnectionsPerUser: 20,
        maxConnectionsPerIp: 1000,
        maxUploadBytes: 100 * 1024 * 1024,
        uploadsPerMinute: 30,
        maxBodyBytes: 256 * 1024,
        roomsPerUser: 10_000,
        wsMaxFrameBytes: 512 * 1024,
      },
      passwordHash: { memoryKib: 19_456, passes: 2 },
    });
  });

  it('is frozen all the way down, and can be sent to a thread', () => {
    const config = load({ ALLOWED_ORIGINS: 'https://a.example', TRUST_PROXY: '10.0.0.0/8' });
    for (const part of [config, config.limits, config.jwt, config.allowedOrigins, config.trustProxy]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
    expect(structuredClone(config)).toEqual(config);
  });

  it('never opens more than 25 database connections by default, however many shards', () => {
    expect(defaultDbPoolSize(1)).toBe(4);
    for (let shards = 1; shards <= 22; shards += 1) {
      expect(shards * defaultDbPoolSize(shards) + 2 + 1).toBeLessThanOrEqual(25);
    }
  });

  it('counts an empty variable as unset, and trims blanks', () => {
    expect(load({ SERVER_PORT: '', DATABASE_URL: '', REDIS_HOST: '' })).toEqual(load({}));
    expect(load({ SERVER_PORT: ' 81 ' }).server.port).toBe(81);
  });

  it('names every mistake, each in one line with its variable and what is allowed', () => {
    const lines = mistakesOf({
      SERVER_PORT: '70000',
      LOG_LEVEL: 'loud',
      JWT_EXPIRATION: '24',
      SHARDS: '0',
      DB_SSLMODE: 'on',
    });
    expect(lines).toHaveLength(5);
    expect(lines).toContain('SERVER_PORT: "70000" is not allowed; allowed: a whole number from 0 to 65,535');
    for (const name of ['SERVER_PORT', 'LOG_LEVEL', 'JWT_EXPIRATION', 'SHARDS', 'DB_SSLMODE']) {
      expect(lines.filter((line) => line.startsWith(`${name}: `))).toHaveLength(1);
    }
    for (const line of lines) expect(line).not.toContain('\n');
  });

  it.each([
    ['SERVER_PORT', ['-1', '65536', '80.5', '0x50', '1e3', 'http']],
    ['SERVER_HOST', ['256.1.1.1', 'a b', 'http://x', '[::1]']],
    ['JWT_EXPIRATION', ['24', '0s', '1.5h', '-1h', '1w', '99999d', 'h']],
    ['MAX_BODY_BYTES', ['0', '-1', '1TB', '1,000', '17MiB', 'many']],
    ['SHARDS', ['0', '65', 'all']],
    ['WS_SENDS_PER_SECOND', ['-1', 'off', '2.5']],
    ['PASSWORD_HASH_MEMORY_KIB', ['1023']],
    ['PASSWORD_HASH_PASSES', ['0']],
    [
      'ALLOWED_ORIGINS',
      ['*', 'https://*.example.org', 'https://a.example/path', 'a.example', 'ftp://a.example'],
    ],
    ['TRUST_PROXY', ['1', '10.0.0.0/33', '::1/129', 'proxy.example', '10.0.0.0/8/8', 'true']],
    [
      'DATABASE_URL',
      [
        'mysql://u@h/d',
        'postgres:///d',
        'not a url',
        'postgres://u:p@h',
        'postgres://u@h/d?sslmode=maybe',
        'postgres://u@h/d?ssl=require',
        'postgres://u@h/d?sslnegotiation=direct',
        'postgres://u@h/d?application_name=x',
      ],
    ],
    ['REDIS_URL', ['http://h', 'redis://']],
    ['STORAGE_TYPE', ['S3', 'gcs']],
    ['JWT_SECRET', ['short', 'x'.repeat(31)]],
    ['NODE_ENV', ['prod', 'staging']],
  ])('refuses for %s each of %j', (name, values) => {
    for (const value of values) {
      expect(mistakesOf({ [name]: value }).map((line) => line.split(':')[0])).toEqual([name]);
    }
  });

  it('never shows a secret', () => {
    const env = {
      DATABASE_URL: 'mysql://user:hunter2@host/db', // secretlint-disable-line
      REDIS_URL: 'http://:hunter2@host',
      JWT_SECRET: 'hunter2',
      STORAGE_SECRET_KEY: 'hunter2',
      STORAGE_ACCESS_KEY: 'hunter2',
    };
    const lines = mistakesOf(env);
    expect(lines.length).toBeGreaterThanOrEqual(4);
    expect(lines.join('\n')).not.toContain('hunter2');
  });

  it('reads durations and sizes with their units', () => {
    expect(load({ JWT_EXPIRATION: '90s', REFRESH_EXPIRATION: '2h' }).jwt).toMatchObject({
      expirationMs: 90_000,
      refreshExpirationMs: 7_200_000,
    });
    expect(load({ MAX_BODY_BYTES: '2048' }).limits.maxBodyBytes).toBe(2_048);
    expect(load({ MAX_BODY_BYTES: '64KiB' }).limits.maxBodyBytes).toBe(65_536);
    expect(load({ MAX_UPLOAD_BYTES: '10 MB' }).limits.maxUploadBytes).toBe(10_000_000);
  });

  it('builds the database url of DB_*, escaping what needs it', () => {
    const parts = {
      DB_HOST: 'db',
      DB_USER: 'a@b',
      DB_PASSWORD: 'p:/?#@',
      DB_NAME: 'chat room',
      DB_SSLMODE: 'verify-ca',
    };
    const { href, username, password, pathname } = new URL(load(parts).database?.url ?? '');
    expect([username, password, pathname].map(decodeURIComponent)).toEqual(['a@b', 'p:/?#@', '/chat room']);
    expect(href).toMatch(/@db:5432\/.*\?sslmode=verify-full$/);
    expect(load({ DB_HOST: '::1', DB_USER: 'u', DB_NAME: 'd', DB_PORT: '5' }).database?.url).toBe(
      'postgres://u@[::1]:5/d',
    );
    expect(load({ DATABASE_URL: 'postgres://u@h/d?sslmode=allow' }).database?.url).toBe(
      'postgres://u@h/d?sslmode=prefer',
    );
  });

  it('refuses half of a group, and both forms of it', () => {
    expect(mistakesOf({ DB_PASSWORD: 'x' })).toEqual([
      'DB_HOST: missing, and required because DB_PASSWORD is given',
      'DB_USER: missing, and required because DB_PASSWORD is given',
      'DB_NAME: missing, and required because DB_PASSWORD is given',
    ]);
    expect(mistakesOf({ REDIS_PORT: '1' })).toEqual([
      'REDIS_HOST: missing, and required because REDIS_PORT is given',
    ]);
    expect(mistakesOf({ DATABASE_URL: 'postgres://u@h/d', DB_PORT: '1' })[0]).toMatch(
      /^DATABASE_URL: given together with DB_PORT/,
    );
    expect(mistakesOf({ REDIS_URL: 'redis://h', REDIS_DB: '1' })[0]).toMatch(
      /^REDIS_URL: given together with REDIS_DB/,
    );
  });

  it('builds the Redis url of REDIS_*', () => {
    expect(load({ REDIS_HOST: 'r', REDIS_PASSWORD: 'a/b', REDIS_DB: '3' }).redis?.url).toBe(
      'redis://:a%2Fb@r:6379/3',
    );
    expect(load({ REDIS_URL: 'rediss://r:1/2' }).redis?.url).toBe('rediss://r:1/2');
  });

  it('keeps local attachments in DATA_DIR or where STORAGE_DIR says, which means nothing to S3', () => {
    expect(load({ DATA_DIR: '/var/lib/parley' }).storage).toEqual({
      ...{ type: 'local', directory: '/var/lib/parley/attachments', isOwn: true },
    });
    expect(load({ STORAGE_DIR: 'files' }).storage).toEqual({
      ...{ type: 'local', directory: resolve('files'), isOwn: false },
    });
    const s3 = { STORAGE_ACCESS_KEY: 'a', STORAGE_SECRET_KEY: 's', STORAGE_BUCKET: 'files' };
    const mistakes = mistakesOf({ STORAGE_TYPE: 's3', STORAGE_DIR: '/files', ...s3 });
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toMatch(/^STORAGE_DIR: is given, yet STORAGE_TYPE is "s3"/);
  });

  it('takes S3 whole or not at all; minio is S3 with path-style addresses', () => {
    const keys = { STORAGE_ACCESS_KEY: 'a', STORAGE_SECRET_KEY: 's', STORAGE_BUCKET: 'files' };
    expect(load({ STORAGE_TYPE: 's3', ...keys }).storage).toEqual({
      type: 's3',
      endpoint: null,
      accessKey: 'a',
      secretKey: 's',
      bucket: 'files',
      region: 'us-east-1',
      pathStyle: false,
    });
    const minio = { STORAGE_TYPE: 'minio', STORAGE_ENDPOINT: 'localhost:9000', ...keys };
    expect(load(minio).storage).toMatchObject({ endpoint: 'http://localhost:9000', pathStyle: true });
    expect(load({ ...minio, STORAGE_ENDPOINT: 'https://s3.example/' }).storage).toMatchObject({
      endpoint: 'https://s3.example',
    });
    const needed = ['STORAGE_ENDPOINT', 'STORAGE_BUCKET', 'STORAGE_ACCESS_KEY', 'STORAGE_SECRET_KEY'];
    expect(mistakesOf({ STORAGE_TYPE: 'minio' }).map((line) => line.split(':')[0])).toEqual(needed);
    expect(mistakesOf(keys)[0]).toMatch(/^STORAGE_TYPE: is "local", yet STORAGE_BUCKET/);
  });

  it('takes former secrets as a list, of which none is short or has a blank around it', () => {
    const others = `${SECRET},${SECRET}-too`;
    expect(load({ JWT_SECRET_PREVIOUS: others }).jwt.previousSecrets).toEqual(others.split(','));
    for (const bad of [
      `${SECRET},short`,
      `${SECRET}, ${SECRET}`,
      `${SECRET},`,
      Array(5).fill(SECRET).join(','),
    ]) {
      const [line, ...more] = mistakesOf({ JWT_SECRET_PREVIOUS: bad });
      expect(line).toMatch(/^JWT_SECRET_PREVIOUS: its value \(\d+ bytes, not shown\) is not allowed/);
      expect(more).toEqual([]);
    }
  });

  it('in production has no development defaults', () => {
    expect(mistakesOf({ NODE_ENV: 'production' }).map((line) => line.split(':')[0])).toEqual([
      'DATABASE_URL',
      'JWT_SECRET',
    ]);
    const given = { NODE_ENV: 'production', DATABASE_URL: 'postgres://u:p@h/d', JWT_SECRET: SECRET };
    expect(load(given)).toMatchObject({ database: { url: given.DATABASE_URL }, jwt: { secret: SECRET } });
    expect(mistakesOf({ ...given, JWT_SECRET: 'short' })).toHaveLength(1);
  });

  it('refuses what the embedded database could not serve, and one port for two listeners', () => {
    expect(mistakesOf({ SHARDS: '10', DB_POOL_SIZE: '10' })[0]).toMatch(/^DB_POOL_SIZE: 10 shards/);
    expect(mistakesOf({ SHARDS: '10', DB_POOL_SIZE: '10', DATABASE_URL: 'postgres://u@h/d' })).toEqual([]);
    expect(mistakesOf({ METRICS_PORT: '8080' })[0]).toMatch(/^METRICS_PORT: 8080 is SERVER_PORT too/);
    expect(mistakesOf({ SERVER_PORT: '0', METRICS_PORT: '0' })).toEqual([]);
  });

  it('writes origins as browsers send them', () => {
    const { allowedOrigins } = load({ ALLOWED_ORIGINS: 'HTTPS://Chat.Example:443/, http://localhost:5173' });
    expect(allowedOrigins).toEqual(['https://chat.example', 'http://localhost:5173']);
  });

  it('documents every setting, in one section', () => {
    const documented = Object.values(SETTING_SECTIONS).flat();
    expect([...documented].sort()).toEqual(Object.keys(SETTINGS).sort());
  });
});
