import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { freePort } from '../../src/lib/free-port.js';
import { until, within } from '../helpers/deadline.js';
import { type Account, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, spawnTracked, startServerWithDatabase } from '../helpers/server-process.js';
import { connect } from '../helpers/ws-client.js';

/** The server behind a real nginx, as docs/security.md says to set it up. */
const NGINX = '/usr/sbin/nginx';
const AUTH_LIMIT = 3;

const configOf = (directory: string, listen: number, to: number): string => `
daemon off; master_process off; pid ${directory}/pid; error_log stderr; worker_processes 1;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path ${directory}/b; proxy_temp_path ${directory}/p; fastcgi_temp_path ${directory}/f;
  uwsgi_temp_path ${directory}/u; scgi_temp_path ${directory}/s;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream parley { server 127.0.0.1:${to}; keepalive 4; }
  server {
    listen 127.0.0.1:${listen};
    location / {
      proxy_pass http://parley; proxy_http_version 1.1; proxy_request_buffering off; client_max_body_size 0;
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 120s; proxy_bind 127.0.0.2;
    }
  }
}`;

describe.skipIf(!existsSync(NGINX))('behind nginx', () => {
  let server: Server;
  let port: number;
  let rest: Rest;
  let account: Account;

  beforeAll(async () => {
    server = await startServerWithDatabase({
      TRUST_PROXY: '127.0.0.2',
      AUTH_RATE_LIMIT_PER_MINUTE: String(AUTH_LIMIT),
    });
    account = await newAccount(restClient(server.url));
    port = await freePort({ host: '127.0.0.1', port: 0 });
    const directory = mkdtempSync(join(inject('runDirectory'), 'nginx-'));
    const file = join(directory, 'nginx.conf');
    writeFileSync(file, configOf(directory, port, server.port));
    spawnTracked(NGINX, ['-c', file, '-p', directory], {});
    rest = restClient(`http://127.0.0.1:${port}`);
    await until(
      async () => (await rest.call('GET', '/health/live').catch(() => null))?.status === 200,
      'nginx',
    );
  });

  /** All statuses on one connection to nginx. */
  function exchange(bytes: string): Promise<number[]> {
    const socket = connectTcp({ port, host: '127.0.0.1' });
    const statuses = new Promise<number[]>((resolve) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      socket.on('error', () => undefined);
      socket.on('close', () =>
        resolve([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => Number(code))),
      );
      socket.write(bytes);
      setTimeout(() => socket.end(), 1_000);
    });
    return within(statuses, 20_000, 'the end of the connection').finally(() => socket.destroy());
  }

  const LOGIN = 'POST /api/v1/auth/refresh HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n';
  const SMUGGLED = 'GET /api/v1/smuggled HTTP/1.1\r\nhost: a\r\n\r\n';

  test.each([
    ['both kinds of length', `${LOGIN}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['two lengths', `${LOGIN}content-length: 2\r\ncontent-length: 45\r\n\r\n{}`],
    ['an unknown coding', `${LOGIN}transfer-encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
    ['a space before the colon', `${LOGIN}transfer-encoding : chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
    ['a chunk extension', `${LOGIN}transfer-encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n`],
    ['a chunk without its end', `${LOGIN}transfer-encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n`],
    ['a hidden coding', `${LOGIN}transfer-encoding:\x0bchunked\r\ncontent-length: 2\r\n\r\n{}`],
  ])('%s: nobody gets the answer of another', async (_name, request) => {
    const attacks = await Promise.all(Array.from({ length: 8 }, () => exchange(request + SMUGGLED)));
    // An answer too many on the proxy's side would go to whoever asks next on the same connection to the server.
    for (const statuses of attacks) expect(statuses.length).toBeLessThanOrEqual(2);
    const asked = await Promise.all(
      Array.from({ length: 20 }, () => rest.get<{ id: string }>('/users/me', account.token)),
    );
    for (const answer of asked) expect([answer.status, answer.body.data?.id]).toEqual([200, account.id]);
    expect(server.log().filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('the address is nginx’s word, not the client’s: a made-up X-Forwarded-For changes no limit', async () => {
    const tries = [];
    for (let n = 0; n < AUTH_LIMIT + 1; n++) {
      tries.push(
        await rest.call('POST', '/auth/login', {
          body: { email: 'nobody@x.io', password: 'wrong password' },
          headers: { 'x-forwarded-for': `203.0.113.${n}` },
        }),
      );
    }
    expect(tries.at(-1)?.status).toBe(429);
  });

  test('sockets and uploads go through it', async () => {
    const room = await newRoom(rest, account);
    const client = await connect({ wsUrl: `ws://127.0.0.1:${port}/api/v1/ws`, token: account.token });
    await client.ask('join_room', {}, room.id);
    await client.ask('send_message', { content: 'through' }, room.id);
    await client.next(({ type }) => type === 'new_message', 'the message');
    await client.close();
  });
});
