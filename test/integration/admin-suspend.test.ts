import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admin, runAdmin, runAdminWith } from '../helpers/admin.js';
import { DEADLINE_MS, until, within } from '../helpers/deadline.js';
import { type Nodes, startNodes } from '../helpers/nodes.js';
import { dataOf, newAccount, newRoom, type Rest, refusalOf, restClient } from '../helpers/rest-client.js';
import { startServer } from '../helpers/server-process.js';
import { enter, listen } from '../helpers/signals.js';

describe('suspending, on two nodes that know only the database', { timeout: 60_000 }, () => {
  let nodes: Nodes;
  let rest: readonly [Rest, Rest];
  let url: string;
  const everywhere = async (check: (rest: Rest) => Promise<boolean>, what: string) => {
    for (const each of rest) await until(() => check(each), what);
  };

  beforeAll(async () => {
    nodes = await startNodes([{ SHARDS: '1' }, { SHARDS: '1' }]);
    url = nodes.database.url;
    rest = [restClient(nodes.node(0).url), restClient(nodes.node(1).url)];
  });
  afterAll(() => nodes?.stop());

  test('a suspended user is cut off on every node, and comes back when it is lifted', async () => {
    const [ann, ben] = [await newAccount(rest[0], 'ann'), await newAccount(rest[0], 'ben')];
    const { id: room } = await newRoom(rest[0], ann, [ben]);
    const sent = dataOf(await rest[0].send(ben.token, room, { content: 'stays' }));
    const ears = [
      await enter(nodes.node(0).wsUrl, ben, room),
      await enter(nodes.node(1).wsUrl, ben, room),
    ] as const;
    const credentials = { email: ben.email, password: ben.password };

    await admin(url, 'suspend', ben.username.toUpperCase(), '--for', '24h', '--reason', 'spam');
    for (const ear of ears) {
      expect((await within(ear.closed, DEADLINE_MS, 'the close')).code).toBe(4010);
    }
    await everywhere(async (node) => (await node.sessions(ben.token)).status === 401, 'a refused token');
    const refused = await rest[1].login(credentials);
    expect(refusalOf(refused)).toEqual({ status: 403, code: 'forbidden' });
    expect(refused.body.error).toMatch(/^This account is suspended until \d{4}-/);
    expect(refusalOf(await rest[0].refresh(ben.refreshToken))).toEqual({ status: 403, code: 'forbidden' });
    const guessed = await rest[0].login({ ...credentials, password: 'a wrong password' });
    expect(refusalOf(guessed)).toEqual({ status: 401, code: 'invalid_credentials' });
    expect(dataOf(await rest[0].message(ann.token, sent.id)).content).toBe('stays');
    expect((await rest[0].sessions(ann.token)).status).toBe(200);

    await admin(url, 'unsuspend', ben.id);
    const back = dataOf(await rest[1].login(credentials));
    expect((await rest[0].sessions(back.token)).status).toBe(200);
    expect((await rest[0].sessions(ben.token)).status).toBe(401);

    const log = await admin(url, 'audit');
    expect(log[0]).toMatch(new RegExp(`^\\S+Z operator unsuspend ${ben.id} `));
    expect(log[1]).toMatch(new RegExp(`^\\S+Z operator suspend ${ben.id} .*"reason":"spam"`));
  });

  test('a suspension ends by itself', async () => {
    const cat = await newAccount(rest[0], 'cat');
    const credentials = { email: cat.email, password: cat.password };
    await admin(url, 'suspend', cat.id, '--for', '2s');
    const statuses = new Set<number>();
    await until(async () => {
      const { status } = await rest[0].login(credentials);
      statuses.add(status);
      return status === 200;
    }, 'a login after the suspension');
    expect([...statuses].every((status) => status === 200 || status === 403)).toBe(true);
    expect((await rest[0].sessions(cat.token)).status).toBe(401);
  });

  test('who suspends without an end is told so', async () => {
    const dan = await newAccount(rest[0], 'dan');
    await admin(url, 'suspend', dan.id);
    const refused = await rest[0].login({ email: dan.email, password: dan.password });
    expect(refused.body.error).toBe('This account is suspended.');
  });

  test.each([
    [1, ['suspend', 'nobody-of-this-name'], 'there is no user "nobody-of-this-name"'],
    [64, ['suspend'], 'suspend takes USER'],
    [64, ['suspend', 'somebody', '--for', 'soon'], '--for takes a whole number with s, m, h or d'],
    [64, ['audit', '--reason', 'x'], 'audit takes no --reason'],
    [64, ['suspend', 'somebody', '--nonsense'], "Unknown option '--nonsense'"],
    [64, ['dance'], 'there is no command dance'],
    [64, [], 'no command'],
  ])('exit code %i for %j', async (code, args, line) => {
    const run = await runAdmin(url, ...args);
    expect(run.code).toBe(code);
    expect(run.lines[0]).toContain(line);
    expect(run.lines.join('\n')).not.toMatch(/^ {4}at /m);
    if (code === 64) expect(run.lines[1]).toBe('usage: npm run admin -- COMMAND');
  });

  test('a database that is away is one line', async () => {
    const run = await runAdmin('postgres://nobody@127.0.0.1:1/none', 'audit');
    expect(run.code).toBe(1);
    expect(run.lines).toHaveLength(1);
    expect(run.lines[0]).toMatch(/^the database is unavailable: .*ECONNREFUSED/);
  });
});

test('a server on its embedded database hears of it too, and the log can be read without the server', {
  timeout: 90_000,
}, async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'parley-admin-'));
  const settings = { DATA_DIR: dataDir };
  const server = await startServer({ env: { ...settings, SHARDS: '1' } });
  const ann = await newAccount(restClient(server.url), 'ann');
  const ear = await listen(server.wsUrl, ann);
  expect((await runAdminWith(settings, 'suspend', ann.username)).code).toBe(0);
  expect((await within(ear.closed, DEADLINE_MS, 'the close')).code).toBe(4010);
  const refused = await restClient(server.url).login({ email: ann.email, password: ann.password });
  expect(refusalOf(refused)).toEqual({ status: 403, code: 'forbidden' });
  expect((await server.stop()).code).toBe(0);
  const log = await runAdminWith(settings, 'audit');
  expect([log.code, log.lines.length]).toEqual([0, 1]);
  rmSync(dataDir, { recursive: true, force: true });
});
