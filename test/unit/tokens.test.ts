import { createHmac, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadJwtSecret } from '../../src/auth/jwt-secret.js';
import {
  newRefreshToken,
  refreshTokenHash,
  signAccessToken,
  verifyAccessToken,
} from '../../src/auth/tokens.js';
import type { Caller } from '../../src/ipc/messages.js';
import { newId, type SessionId, type UserId } from '../../src/protocol/ids.js';

const SECRET = 'a secret of tests, of no use elsewhere, long enough';
const UNAUTHENTICATED = { ok: false, code: 'unauthenticated' };
const CALLER: Caller = { user_id: newId<UserId>(), username: 'Ada_L', sid: newId<SessionId>() };

const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString('base64url');

/** A JWT made by hand, with a good HS256 signature whatever its header says. */
function handMade(header: unknown, claims: unknown): string {
  const body = `${encode(header)}.${typeof claims === 'string' ? claims : encode(claims)}`;
  return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`;
}

function goodClaims(): Record<string, unknown> {
  const iat = Math.floor(Date.now() / 1_000);
  return { ...CALLER, iat, exp: iat + 60 };
}

describe('an access token', () => {
  it('carries its caller and its expiry', () => {
    const before = Math.floor(Date.now() / 1_000);
    const { token, expires_in } = signAccessToken(CALLER, { secret: SECRET, expirationMs: 90_500 });
    expect(expires_in).toBe(90);
    const check = verifyAccessToken(token, SECRET);
    expect(check).toMatchObject({ ok: true, caller: CALLER });
    if (!check.ok) return;
    expect(check.expiresAtMs).toBeGreaterThanOrEqual((before + 90) * 1_000);
    expect(check.expiresAtMs).toBeLessThanOrEqual(Date.now() + 90_000);
    expect(jwt.decode(token)).toEqual({ ...CALLER, iat: expect.any(Number), exp: check.expiresAtMs / 1_000 });
  });

  it('is expired once its time is over, if it was ours', () => {
    const claims = { ...goodClaims(), exp: Math.floor(Date.now() / 1_000) - 1 };
    const token = handMade({ alg: 'HS256', typ: 'JWT' }, claims);
    expect(verifyAccessToken(token, SECRET)).toEqual({ ok: false, code: 'token_expired' });
    expect(verifyAccessToken(token, `${SECRET}!`)).toEqual(UNAUTHENTICATED);
  });

  it.each(['none', 'None', 'HS384', 'HS512', 'RS256', 'ES256', 'PS256', '', 'toString'])(
    'is refused with algorithm "%s", also over a good HS256 signature',
    (alg) => {
      const token = handMade({ alg, typ: 'JWT' }, goodClaims());
      expect(verifyAccessToken(token, SECRET)).toEqual(UNAUTHENTICATED);
      const unsigned = token.slice(0, token.lastIndexOf('.') + 1);
      expect(verifyAccessToken(unsigned, SECRET)).toEqual(UNAUTHENTICATED);
    },
  );

  it('is refused when signed with another algorithm in earnest', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const tokens = [
      jwt.sign(goodClaims(), SECRET, { algorithm: 'HS512' }),
      jwt.sign(goodClaims(), SECRET, { algorithm: 'HS384' }),
      jwt.sign(goodClaims(), privateKey, { algorithm: 'RS256' }),
      jwt.sign(goodClaims(), null, { algorithm: 'none' }),
    ];
    for (const token of tokens) expect(verifyAccessToken(token, SECRET)).toEqual(UNAUTHENTICATED);
  });

  it('is refused when any part of it was tampered with', () => {
    const { token } = signAccessToken(CALLER, { secret: SECRET, expirationMs: 60_000 });
    const [header, , signature] = token.split('.') as [string, string, string];
    const others = { ...goodClaims(), user_id: newId() };
    expect(verifyAccessToken([header, encode(others), signature].join('.'), SECRET)).toEqual(UNAUTHENTICATED);
    for (let at = 0; at < token.length; at += 7) {
      const flipped = token[at] === 'A' ? 'B' : 'A';
      const tampered = token.slice(0, at) + flipped + token.slice(at + 1);
      expect(verifyAccessToken(tampered, SECRET)).toEqual(UNAUTHENTICATED);
    }
    expect(verifyAccessToken(token, 'another secret of the same kind, also long')).toEqual(UNAUTHENTICATED);
    expect(verifyAccessToken(token, SECRET).ok).toBe(true);
  });

  it.each([
    ['user_id', undefined],
    ['user_id', 7],
    ['user_id', 'x'],
    ['user_id', CALLER.user_id.toUpperCase()],
    ['user_id', [CALLER.user_id]],
    ['sid', undefined],
    ['sid', null],
    ['sid', `${CALLER.sid}\n`],
    ['sid', { toString: CALLER.sid }],
    ['username', undefined],
    ['username', ''],
    ['username', 5],
    ['iat', undefined],
    ['iat', '1'],
    ['exp', undefined],
    ['exp', '9999999999'],
    ['exp', 9_999_999_999.5],
    ['exp', 1e300],
    ['nbf', 9_999_999_999],
  ])('is refused with claim %s = %j', (claim, value) => {
    const token = handMade({ alg: 'HS256', typ: 'JWT' }, { ...goodClaims(), [claim]: value });
    expect(verifyAccessToken(token, SECRET)).toEqual(UNAUTHENTICATED);
  });

  it('is nothing else that looks like one', () => {
    const header = { alg: 'HS256', typ: 'JWT' };
    const { token: refreshToken } = newRefreshToken();
    const strangers = [
      '',
      '.',
      '..',
      'a.b.c',
      'Bearer x',
      refreshToken,
      'é'.repeat(50),
      'a'.repeat(1_000_000),
    ];
    strangers.push(
      handMade(header, 'bm90IGpzb24'),
      handMade(header, null),
      handMade(header, [1]),
      handMade(header, '5'),
    );
    strangers.push(handMade('HS256', goodClaims()), handMade(null, goodClaims()));
    for (const stranger of strangers) expect(verifyAccessToken(stranger, SECRET)).toEqual(UNAUTHENTICATED);
  });

  it('goes by the secret given with each call', () => {
    const other = 'the other secret of these tests, long enough too';
    const token = signAccessToken(CALLER, { secret: SECRET, expirationMs: 60_000 }).token;
    const otherToken = signAccessToken(CALLER, { secret: other, expirationMs: 60_000 }).token;
    expect(verifyAccessToken(token, SECRET).ok).toBe(true);
    expect(verifyAccessToken(token, other).ok).toBe(false);
    expect(verifyAccessToken(otherToken, other).ok).toBe(true);
    expect(verifyAccessToken(otherToken, SECRET).ok).toBe(false);
  });
});

describe('a refresh token', () => {
  it('is 32 random bytes, known to the store by its SHA-256 alone', () => {
    const tokens = Array.from({ length: 100 }, newRefreshToken);
    expect(new Set(tokens.map(({ token }) => token)).size).toBe(100);
    for (const { token, hash } of tokens) {
      expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(hash).toHaveLength(32);
      expect(refreshTokenHash(token)).toEqual(hash);
    }
  });
});

describe('the JWT secret', () => {
  let dir: string;
  const configOf = (dataDir: string, secret: string | null = null) => ({
    dataDir,
    jwt: { secret, previousSecrets: [], expirationMs: 1_000, refreshExpirationMs: 1_000 },
  });

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'parley-jwt-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it('is the configured one, and then nothing is written', async () => {
    expect(await loadJwtSecret(configOf(dir, SECRET))).toBe(SECRET);
    expect(await readdir(dir)).toEqual([]);
  });

  it('is made once by however many start at once, and readable by its owner alone', async () => {
    const dataDir = join(dir, 'not', 'there', 'yet');
    const secrets = await Promise.all(Array.from({ length: 20 }, () => loadJwtSecret(configOf(dataDir))));
    expect(new Set(secrets).size).toBe(1);
    expect(Buffer.from(secrets[0] ?? '', 'base64url')).toHaveLength(48);
    expect(await loadJwtSecret(configOf(dataDir))).toBe(secrets[0]);
    expect(await readdir(dataDir)).toEqual(['jwt-secret']);
    expect((await stat(join(dataDir, 'jwt-secret'))).mode & 0o777).toBe(0o600);
  });

  it('is refused, not replaced, when damaged', async () => {
    await writeFile(join(dir, 'jwt-secret'), 'short\n');
    await expect(loadJwtSecret(configOf(dir))).rejects.toThrow(/fewer than 32 bytes/);
    expect(await readFile(join(dir, 'jwt-secret'), 'utf8')).toBe('short\n');
  });
});
