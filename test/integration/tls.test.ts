import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { beforeAll, expect, inject, test } from 'vitest';
import { WebSocket } from 'ws';
import { createCertificate } from '../helpers/certificates.js';
import { until } from '../helpers/deadline.js';
import { type Server, spawnServer, startServerWithDatabase } from '../helpers/server-process.js';

const run = promisify(execFile);

/** A server that ends TLS itself, with a certificate that changes while it runs. */
const files = { cert: '', key: '' };
let directory: string;
let server: Server;

const certificate = (name: string) => createCertificate(directory, name);

async function install(name: string): Promise<void> {
  const made = certificate(name);
  await copyFile(made.cert, files.cert);
  await copyFile(made.key, files.key);
}

beforeAll(async () => {
  directory = mkdtempSync(join(inject('runDirectory'), 'tls-'));
  Object.assign(files, { cert: join(directory, 'in-use.crt'), key: join(directory, 'in-use.key') });
  await install('first');
  server = await startServerWithDatabase({ TLS_CERT_FILE: files.cert, TLS_KEY_FILE: files.key });
});

test('the image’s health check asks by TLS, and takes a certificate that nobody has signed', async () => {
  const check = (env: Record<string, string>) =>
    run(process.execPath, ['dist/src/health-check.js'], {
      env: { SERVER_PORT: String(server.port), ...env },
    });
  await check({ TLS_CERT_FILE: files.cert });
  await expect(check({})).rejects.toThrow();
  await expect(check({ TLS_CERT_FILE: files.cert, SERVER_HOST: '127.0.0.2' })).rejects.toThrow(
    'ECONNREFUSED',
  );
});

/** A connection, and the name in the certificate that it was shown. */
function shown(options: ConnectionOptions = {}): Promise<{ name: string; socket: TLSSocket }> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      port: server.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ...options,
    });
    socket.once('secureConnect', () =>
      resolve({ name: String(socket.getPeerCertificate().subject.CN), socket }),
    );
    socket.once('error', reject);
  });
}

function ask(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('data', (data: Buffer) => resolve(data.toString('latin1')));
    socket.write('GET /api/v1/health/live HTTP/1.1\r\nhost: a\r\n\r\n');
  });
}

const pinged = (socket: WebSocket): Promise<void> =>
  new Promise((resolve) => {
    socket.once('pong', () => resolve());
    socket.ping();
  });

test('answers come by TLS, with HSTS; plain HTTP gets none', async () => {
  const { name, socket } = await shown();
  const answer = await ask(socket);
  expect(name).toBe('first');
  expect(answer).toMatch(/^HTTP\/1\.1 200/);
  expect(answer).toMatch(/strict-transport-security: max-age=31536000/);
  socket.destroy();
  await expect(fetch(`${server.url}/api/v1/health/live`)).rejects.toThrow();
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s is spoken', async (version) => {
  const { socket } = await shown({ minVersion: version, maxVersion: version });
  expect(socket.getProtocol()).toBe(version);
  socket.destroy();
});

test.each(['TLSv1', 'TLSv1.1'] as const)('%s is refused by the server', async (version) => {
  const old = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' }; // else the client refuses
  await expect(shown(old)).rejects.toThrow(/alert (?:protocol version|handshake failure|internal error)/);
});

test('a new certificate is shown after SIGHUP, and no connection or socket is dropped for it', async () => {
  const before = await shown();
  const webSocket = new WebSocket(server.wsUrl.replace('ws:', 'wss:'), { rejectUnauthorized: false });
  await new Promise((resolve, reject) => webSocket.once('open', resolve).once('error', reject));
  await install('second');
  server.kill('SIGHUP');
  await until(() => server.log().some(({ event }) => event === 'tls_reloaded'), 'the event "tls_reloaded"');
  const after = await shown();
  expect(after.name).toBe('second');
  expect(await ask(after.socket)).toMatch(/^HTTP\/1\.1 200/);
  expect(await ask(before.socket)).toMatch(/^HTTP\/1\.1 200/);
  await pinged(webSocket);
  webSocket.terminate();
  for (const { socket } of [before, after]) socket.destroy();
});

test('files that don’t fit together are refused: the server goes on with what it has', async () => {
  const { name: present, socket: old } = await shown();
  await copyFile(certificate('third').cert, files.cert); // without its key
  server.kill('SIGHUP');
  await until(
    () => server.log().some(({ event }) => event === 'tls_not_reloaded'),
    'the event "tls_not_reloaded"',
  );
  const { name, socket } = await shown();
  expect(name).toBe(present);
  for (const each of [old, socket]) each.destroy();
});

test('one file without the other, or a key of another certificate, is a mistake in the settings', async () => {
  for (const env of [
    { TLS_CERT_FILE: files.cert },
    { TLS_CERT_FILE: files.cert, TLS_KEY_FILE: join(directory, 'none.key') },
    { TLS_CERT_FILE: certificate('a').cert, TLS_KEY_FILE: certificate('b').key },
  ]) {
    const refused = await spawnServer(env);
    expect((await refused.exit).code).toBe(78);
    expect(refused.lines.join('\n')).toMatch(/TLS_CERT_FILE, TLS_KEY_FILE: /);
  }
});
