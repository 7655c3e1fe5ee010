import { request } from 'node:http';
import { beforeAll, describe, expect, test } from 'vitest';
import { must, until } from '../helpers/deadline.js';
import type { Ack } from '../helpers/frames.js';
import { hasNginx, type Nginx, startNginx } from '../helpers/nginx.js';
import { newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { startServerWithDatabase } from '../helpers/server-process.js';
import { connect, connectRefused } from '../helpers/ws-client.js';

const LOGINS_A_MINUTE = 8; // the accounts of this file are registered from one address
const CONNECTIONS_MAX = 3;
const PING_EVERY_MS = 54_000; // PROTOCOL §3

describe.skipIf(!hasNginx)('behind nginx (skipped where the machine has no nginx)', () => {
  let nginx: Nginx;
  let narrow: Nginx;

  beforeAll(async () => {
    const server = await startServerWithDatabase({
      TRUST_PROXY: '127.0.0.1',
      AUTH_RATE_LIMIT_PER_MINUTE: String(LOGINS_A_MINUTE),
    });
    nginx = await startNginx([server.port, server.port]);
    narrow = await startNginx([server.port, server.port], CONNECTIONS_MAX);
  });

  test.each(['json', 'msgpack'] as const)('a %s socket opens, sends and receives', async (encoding) => {
    const rest = restClient(nginx.url);
    const account = await newAccount(rest);
    const room = await newRoom(rest, account);
    const client = await connect({ wsUrl: nginx.wsUrl, token: account.token, encoding, via: 'subprotocol' });
    await client.ask('join_room', {}, room.id);
    const event = client.next((frame) => frame.type === 'new_message', 'new_message');
    const ack = await client.ask<Ack>('send_message', { content: 'through nginx' }, room.id);
    expect((await event).payload.message).toMatchObject({ id: ack.id, content: 'through nginx' });
  });

  test('limits count the client’s address, whatever the client claims, and not the proxy’s', async () => {
    const login = (from: string, claimed?: string) => loginFrom(nginx.port, from, claimed);
    for (let tried = 0; tried < LOGINS_A_MINUTE; tried++) expect(await login('127.0.0.5')).toBe(401);
    expect(await login('127.0.0.5')).toBe(429);
    expect(await login('127.0.0.5', '203.0.113.9')).toBe(429);
    expect(await login('127.0.0.6')).toBe(401);
  });

  test('a request’s id is the client’s own, or else one of nginx’, in the answer', async () => {
    const ask = async (headers: Record<string, string>) =>
      (await fetch(`${nginx.url}/api/v1/users/me`, { headers })).headers.get('x-request-id');
    expect(await ask({ 'x-request-id': 'from-the-client' })).toBe('from-the-client');
    expect(await ask({})).toMatch(/^[0-9a-f]{32}$/);
  });

  test('connections of an address are counted, sockets and requests alike; one that ends makes place', async () => {
    const account = await newAccount(restClient(nginx.url));
    const open = () => connect({ wsUrl: narrow.wsUrl, token: account.token });
    const sockets = await Promise.all(Array.from({ length: CONNECTIONS_MAX }, open));
    expect((await connectRefused({ wsUrl: narrow.wsUrl, token: account.token })).status).toBe(429);
    const refused = await fetch(`${narrow.url}/api/v1/health/live`);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect(await refused.json()).toMatchObject({ success: false, code: 'rate_limited', retry: true });
    expect(await liveFrom(narrow.port, '127.0.0.9')).toBe(200);
    await must(sockets[0]).close();
    await until(async () => (await fetch(`${narrow.url}/api/v1/health/live`)).ok, 'a place');
    for (const socket of sockets.slice(1)) await socket.close();
  });

  test('an idle socket lives on the server’s pings', { timeout: PING_EVERY_MS + 60_000 }, async () => {
    const account = await newAccount(restClient(nginx.url));
    const client = await connect({ wsUrl: nginx.wsUrl, token: account.token });
    const pinged = new Promise((resolve) => client.socket.once('ping', resolve));
    const ended = client.closed.then(({ code }) => {
      throw new Error(`closed with ${code}`);
    });
    ended.catch(() => undefined);
    await Promise.race([pinged, ended]);
    expect(await client.request('ping')).toMatchObject({ type: 'pong' });
  });
});

/** A request that needs nothing, from one of the machine's own addresses; gives its status. */
function liveFrom(port: number, localAddress: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const at = { port, localAddress, host: '127.0.0.1', path: '/api/v1/health/live', agent: false };
    request(at, (response) => {
      response.resume();
      resolve(must(response.statusCode));
    })
      .once('error', reject)
      .end();
  });
}

/** A log-in that fails, from one of the machine's own addresses; gives its status. */
function loginFrom(port: number, localAddress: string, claimed?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        port,
        localAddress,
        host: '127.0.0.1',
        method: 'POST',
        path: '/api/v1/auth/login',
        headers: {
          'content-type': 'application/json',
          ...(claimed === undefined ? {} : { 'x-forwarded-for': claimed }),
        },
        agent: false,
      },
      (response) => {
        response.resume();
        resolve(must(response.statusCode));
      },
    );
    call.once('error', reject);
    call.end(JSON.stringify({ email: 'nobody@example.org', password: 'a wrong password' }));
  });
}
