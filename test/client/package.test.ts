import { execFile } from 'node:child_process';
import { lstat, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientSize } from '../../scripts/client-size.mjs';
import { must } from '../helpers/deadline.js';
import { dataOf, newAccount, newRoom, restClient, wholeHistory } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const SIZE_MAX = 12_000; // bytes, compressed: what a chat page should pay at most

/** With a cache of its own: what somebody installed before can't help. */
const npm = (cwd: string, ...args: string[]) =>
  run('npm', args, { cwd, env: { ...process.env, npm_config_cache: join(directory, '.npm') } });

let server: Server;
let directory: string;

/** A project that has installed the package as it is published, from its tarball; and ws, as in Node 20. */
beforeAll(async () => {
  server = await startServerWithDatabase();
  directory = await mkdtemp(join(tmpdir(), 'parley-client-'));
  await npm(root, 'pack', './dist/client', '--pack-destination', directory);
  const [tarball] = (await readdir(directory)).filter((file) => /^parley-client-.*\.tgz$/.test(file));
  await writeFile(join(directory, 'package.json'), '{}');
  await npm(directory, 'install', '--offline', '--no-audit', '--no-fund', `./${must(tarball)}`);
  await symlink(join(root, 'node_modules/ws'), join(directory, 'node_modules/ws'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('the example of the README runs as it stands', async () => {
  const rest = restClient(server.url);
  const account = await newAccount(rest, 'reader');
  const room = await newRoom(rest, account);
  const readme = await readFile(join(directory, 'node_modules/@parley/client/README.md'), 'utf8');
  const example = must(/```js\n([\s\S]*?)```/.exec(readme)?.[1], 'the example');
  expect(
    example
      .trim()
      .split('\n')
      .filter((line) => line !== '').length,
  ).toBeLessThanOrEqual(10);
  // The page around it: a browser's globals, the values it uses, and an end of its endless loop.
  const page = `
    import { WebSocket } from 'ws';
    globalThis.WebSocket = WebSocket;
    globalThis.localStorage = { setItem: () => undefined };
    const { url, email, password, roomId } = JSON.parse(process.env.VALUES);
    const log = console.log;
    console.log = (...words) => { log(...words); if (words[0] === 'new_message') process.exit(0); };
    ${example}`;
  // Its own message is committed before the loop begins: a second one is what it hears.
  const later = `setTimeout(() => room.send('Again'), 0);\nfor await`;
  await writeFile(join(directory, 'page.mjs'), page.replace('for await', later));
  const values = { url: server.url, email: account.email, password: account.password, roomId: room.id };
  const { stdout } = await run(process.execPath, ['page.mjs'], {
    cwd: directory,
    env: { VALUES: JSON.stringify(values) },
    timeout: 20_000,
  });
  expect(stdout).toBe('new_message Again\n');
  const token = dataOf(await rest.login({ email: account.email, password: account.password })).token;
  expect((await wholeHistory(rest, token, room.id)).map(({ content }) => content)).toContain('Hello');
});

test('the package is complete, and needs nothing but itself', async () => {
  const installed = join(directory, 'node_modules/@parley/client');
  expect((await lstat(installed)).isDirectory()).toBe(true);
  expect((await readdir(installed)).sort()).toEqual(['LICENSE', 'README.md', 'package.json', 'src']);
  const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  expect(manifest).toMatchObject({ name: '@parley/client', type: 'module', sideEffects: false });
  expect(manifest.dependencies).toBeUndefined();
  expect(await readdir(join(directory, 'node_modules/@parley'))).toEqual(['client']);
  const code = `const all = await import('@parley/client'); console.log(Object.keys(all).join(' '));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], { cwd: directory });
  expect(stdout).toContain('createClient');
});

test('its types come along', async () => {
  const page = `
    import { createClient, type Presence } from '@parley/client';
    const client = createClient({ url: 'http://localhost', token: async () => '' });
    client.room('r').on('presence', (event: Presence) => void event.users);
    // @ts-expect-error: there is no such event
    client.room('r').on('message_ack', () => undefined);
  `;
  await writeFile(join(directory, 'page.ts'), page);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', ''];
  await run(process.execPath, [tsc, ...options, 'page.ts'], { cwd: directory });
});

test('it weighs less than 12 KB compressed, and less where less is imported', {
  timeout: 60_000,
}, async () => {
  const everything = await clientSize('*');
  expect(everything).toBeLessThan(SIZE_MAX);
  expect(await clientSize(['createHttp', 'createApi'])).toBeLessThan(everything / 3);
});
