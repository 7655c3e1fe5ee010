import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { beginTls } from '../../src/store/database-tls.js';

/** Servers that have no TLS, or don't answer as PostgreSQL would. */
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function connected(answer: (socket: Socket) => void): Promise<Socket> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    answer(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
}

const says = (text: string) => (socket: Socket) => socket.once('data', () => socket.write(text));

test('where TLS is only preferred, a server without it is spoken to in the clear', async () => {
  const socket = await connected(says('N'));
  expect(await beginTls(socket, 'localhost', 'prefer', 1_000)).toBe(socket);
  socket.destroy();
});

test.each([
  ['require', 'has no TLS', says('N')],
  ['verify-full', 'has no TLS', says('N')],
  ['prefer', 'sends more than its answer', says('Sx')],
  ['prefer', 'sends more than its answer', says('Nx')],
  ['prefer', 'answers something else', says('E')],
  ['prefer', 'closes at once', (socket: Socket) => socket.destroy()],
  ['require', 'ends at once', (socket: Socket) => socket.end()],
] as const)('%s fails at once where the server %s', async (mode, _what, answer) => {
  const socket = await connected(answer);
  await expect(beginTls(socket, 'localhost', mode, 30_000)).rejects.toMatchObject({
    code: expect.stringMatching(/EPROTO|ECONNRESET/),
  });
  expect(socket.destroyed).toBe(true);
});

test('a server that says nothing is given up in time', async () => {
  const socket = await connected(() => undefined);
  await expect(beginTls(socket, 'localhost', 'prefer', 100)).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  expect(socket.destroyed).toBe(true);
});
