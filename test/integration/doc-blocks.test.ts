import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pythonWithWebsockets } from '../helpers/python.js';
import { type Server, spawnTracked, startServerWithDatabase } from '../helpers/server-process.js';

/** Every page of the repository. */
const PAGES = [
  ...readdirSync('.'),
  ...['bench', 'client', 'deploy', 'docs', 'examples', 'grafana', 'web'].flatMap((top) =>
    readdirSync(top, { recursive: true, encoding: 'utf8' }).map((name) => join(top, name)),
  ),
].filter((name) => name.endsWith('.md') && !name.includes('node_modules'));

/** What a block takes for given, by page. */
const GIVEN: Readonly<Record<string, string>> = {
  'client/README.md': `
    import { createApi, createHttp } from './dist/client/src/index.js';
    import { WebSocket } from 'ws';
    globalThis.WebSocket ??= WebSocket;
    globalThis.localStorage = { setItem() {} };
    const url = process.env.PARLEY_URL;
    const [email, password] = ['reader@example.org', 'correct horse'];
    const given = createSession({ url });
    await given.register({ username: 'reader', email, password });
    const api = createApi(createHttp({ url, token: given.token }));
    const { id: roomId } = await api.createRoom({ name: 'Lobby', type: 'public' });
    setInterval(() => api.sendMessage(roomId, { content: 'heard' }), 200);
    const log = console.log;
    console.log = (type, content) => {
      log(type, content);
      if (content === 'heard') process.exit(0);
    };
  `,
};

/** Blocks marked `no-run`, each with the reason. */
const NOT_RUN: Readonly<Record<string, string>> = {
  'docs/quick-start.md: npm ci && npm start': 'never ends: the server of this test stands in for it',
  'README.md: npm ci && npm start': 'never ends, and then runs these tests',
  'docs/tutorial.md: ALLOWED_ORIGINS=http://localhost:8000 npm start':
    'never ends: test/web/tutorial.test.ts has servers of its own',
  'CONTRIBUTING.md: npm ci': 'runs these tests',
  'docs/attachments.md: npm run attachments:orphans':
    'asks the reader’s own storage: test/integration/attachments-orphans.test.ts has one',
  'docs/attachments.md: export PARLEY_TEST_S3_ENDPOINT=http://127.0.0.1:9000 PARLEY_TEST_S3_ACCESS_KEY=… PARLEY_TEST_S3_SECRET_KEY=…':
    'asks a storage server that the reader has, by these tests',
  'docs/backup.md: pg_dump --format=custom --file=parley-$(date +%F).dump "$DATABASE_URL"':
    'needs the client programs of PostgreSQL: test/faults/backup.test.ts runs them where they are',
  "docs/native-module.md: strings -a node_modules/uWebSockets.js/uws_linux_x64_115.node | grep -o 'GLIBC_2\\.[0-9]*' | sort -uV | tail -1":
    'for one platform, with a program that few machines have',
  'docs/operations.md: for round in 1 2 3 4 5; do': 'takes five minutes of a machine that does nothing else',
};

/** Generated pages with code, and the check that compares them with their source. */
const GENERATED: Readonly<Record<string, string>> = { 'docs/sdk.md': 'npm run docs:sdk -- --check' };

/** Pages whose JSON stands in a file of the repository. */
const QUOTES: Readonly<Record<string, string>> = { 'docs/native-module.md': 'package.json' };

/** Whose JavaScript and HTML is a page for a browser, and the test that opens it there. */
const IN_BROWSER: Readonly<Record<string, string>> = { 'docs/tutorial.md': 'test/web/tutorial.test.ts' };

interface Block {
  readonly page: string;
  readonly language: string;
  readonly mark: string;
  readonly code: string;
}

const blocks = PAGES.filter((page) => !(page in GENERATED)).flatMap((page): Block[] =>
  [...readFileSync(page, 'utf8').matchAll(/^```(\w+) ?(.*)\n([\s\S]*?)^```$/gm)].map(
    ([, language = '', mark = '', code = '']) => ({ page, language, mark, code }),
  ),
);
const ofLanguage = (...languages: readonly string[]) =>
  blocks
    .filter(({ language, mark }) => languages.includes(language) && mark === '')
    .map((block, n) => [`${block.page}, ${n + 1}`, block] as const);

/** The commands of blocks marked `bench`, without the build that goes before each. */
function benches(): string[] {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const build = 'node scripts/build.mjs && ';
  return blocks
    .filter(({ mark }) => mark === 'bench')
    .flatMap(({ code }) => code.replaceAll('\\\n', ' ').trim().split('\n'))
    .map((line) =>
      line.replace(/ +#.*$/, '').replace(/npm run (bench:[\w-]+)(?: --)?/, (command, name: string) => {
        const script = scripts[name] ?? '';
        return script.startsWith(build) ? script.slice(build.length) : command;
      }),
    );
}

describe('code in the docs', () => {
  let server: Server;
  let project: string; // a reader's own

  beforeAll(async () => {
    server = await startServerWithDatabase();
    project = await mkdtemp(join(tmpdir(), 'parley-project-'));
  });
  afterAll(() => rm(project, { recursive: true }));

  /** From the checkout's top, as the docs say, against a server of the test's. */
  async function run(program: string, args: readonly string[]): Promise<void> {
    const child = spawnTracked(program, args, {
      PARLEY_URL: server.url,
      PROJECT: project,
      npm_config_offline: 'true', // nothing that is shown needs more than the checkout
      npm_config_audit: 'false',
    });
    expect(await child.exit, child.lines.join('\n')).toEqual({ code: 0, signal: null });
  }

  test('is of a kind that is checked, or listed with its reason', () => {
    const kinds = new Set(blocks.map(({ language }) => language));
    for (const kind of kinds) expect(['sh', 'js', 'html', 'py', 'json', 'text']).toContain(kind);
    const ofBrowser = blocks.filter(({ language }) => language === 'html').map(({ page }) => page);
    expect(new Set(ofBrowser)).toEqual(new Set(Object.keys(IN_BROWSER)));
    for (const [page, test] of Object.entries(IN_BROWSER))
      expect(readFileSync(test, 'utf8')).toContain(`'${page}'`);
    const marked = blocks.filter(({ mark }) => mark !== '');
    for (const { mark } of marked) expect(['no-run', 'bench']).toContain(mark);
    const notRun = marked.filter(({ mark }) => mark === 'no-run');
    expect(notRun.map(({ page, code }) => `${page}: ${code.split(/ {2}|\n/)[0]}`).sort()).toEqual(
      Object.keys(NOT_RUN).sort(),
    );
    for (const check of Object.values(GENERATED))
      expect(readFileSync('.ci/run', 'utf8')).toContain(`\n${check}\n`);
  });

  test.each(ofLanguage('sh'))('shell: %s', { timeout: 120_000 }, (_name, { code }) =>
    run('bash', ['-euc', code]),
  );

  // What takes a quiet machine minutes is asked for its help instead, which it gives once it has read its options.
  test.each(benches())('options of a bench: %s', { timeout: 30_000 }, (command) =>
    run('bash', ['-euc', `${command} --help`]),
  );

  test.each(ofLanguage('js').filter(([, { page }]) => !(page in IN_BROWSER)))(
    'JavaScript: %s',
    async (_name, { page, code }) => {
      // Beside the checkout's dist and node_modules, so that imports mean what they mean to a reader.
      const directory = await mkdtemp(join('.', `.doc-block-${randomBytes(4).toString('hex')}-`));
      try {
        const file = join(directory, 'block.mjs');
        const whole = `${GIVEN[page] ?? ''}${code}`.replaceAll(
          '@parley/client',
          './dist/client/src/index.js',
        );
        await writeFile(file, whole.replaceAll("'./dist/", "'../dist/"));
        await run(process.execPath, [file]);
      } finally {
        await rm(directory, { recursive: true });
      }
    },
  );

  test.skipIf(pythonWithWebsockets === null).each(ofLanguage('py'))(
    'Python: %s (skipped where it lacks the module websockets)',
    (_name, { code }) => run(pythonWithWebsockets ?? '', ['-c', code]),
  );

  test.each(ofLanguage('json'))('JSON: %s', (_name, { page, code }) => {
    const quoted = QUOTES[page];
    if (quoted !== undefined) return expect(readFileSync(quoted, 'utf8')).toContain(code.trim());
    // One frame, or one on each line.
    const frames = code.includes('\n{') ? code.trim().split('\n') : [code];
    for (const frame of frames) expect(JSON.parse(frame)).toHaveProperty('type');
  });
});
