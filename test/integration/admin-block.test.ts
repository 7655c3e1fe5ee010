import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admin, runAdmin } from '../helpers/admin.js';
import { DEADLINE_MS, until, within } from '../helpers/deadline.js';
import { type Nodes, startNodes } from '../helpers/nodes.js';
import { type Account, newAccount, restClient } from '../helpers/rest-client.js';
import type { Server } from '../helpers/server-process.js';
import { ConnectRefused, connect } from '../helpers/ws-client.js';

describe('blocking addresses, on two nodes behind a proxy', { timeout: 60_000 }, () => {
  let nodes: Nodes;
  let url: string;
  let ann: Account;

  beforeAll(async () => {
    nodes = await startNodes([1, 2].map(() => ({ SHARDS: '1', TRUST_PROXY: '127.0.0.1' })));
    url = nodes.database.url;
    ann = await newAccount(restClient(nodes.node(0).url), 'ann');
  });
  afterAll(() => nodes?.stop());

  const from = (address: string) => ({ 'x-forwarded-for': address });
  const ask = (server: Server, address: string, path = '/users/me', init: RequestInit = {}) =>
    fetch(`${server.url}/api/v1${path}`, {
      ...init,
      headers: { authorization: `Bearer ${ann.token}`, ...from(address) },
    });
  const open = (server: Server, address: string) =>
    connect({ wsUrl: server.wsUrl, token: ann.token, headers: from(address) });
  const everywhere = async (status: number, address: string) => {
    for (const server of nodes.servers) {
      await until(async () => (await ask(server, address)).status === status, `${status} for ${address}`);
    }
  };

  test('a blocked address is refused by every node, its sockets closed, until it is unblocked', async () => {
    const [guilty, other] = ['203.0.113.9', '203.0.113.10'];
    const theirs = await Promise.all(nodes.servers.map((server) => open(server, guilty)));
    const bystander = await open(nodes.node(1), other);

    await admin(url, 'block', guilty, '--reason', 'scraping');
    for (const { closed } of theirs) {
      expect((await within(closed, DEADLINE_MS, 'the close')).code).toBe(1008);
    }
    await everywhere(403, guilty);
    for (const server of nodes.servers) {
      const body = (await (await ask(server, guilty)).json()) as { code: string; error: string };
      expect([body.code, body.error]).toEqual(['forbidden', 'This address is blocked.']);
      await expect(open(server, guilty)).rejects.toMatchObject({ status: 403 });
      const login = { method: 'POST', body: '{"email":"a@b.example","password":"12345678"}' };
      expect((await ask(server, guilty, '/auth/login', login)).status).toBe(403);
      expect((await ask(server, guilty, '/nowhere')).status).toBe(403);
      expect((await ask(server, guilty, '/health/live')).status).toBe(200);
      expect((await ask(server, other)).status).toBe(200);
    }
    await bystander.ask('ping', {});
    expect((await admin(url, 'blocks'))[0]).toMatch(/^203\.0\.113\.9 since \S+Z until - "scraping"$/);

    await admin(url, 'unblock', guilty);
    await everywhere(200, guilty);
    await (await open(nodes.node(0), guilty)).close();
    expect(await admin(url, 'blocks')).toEqual([]);
    expect((await admin(url, 'audit')).slice(0, 2).map((line) => line.split(' ').slice(1, 4))).toEqual([
      ['operator', 'unblock', guilty],
      ['operator', 'block', guilty],
    ]);
    await bystander.close();
  });

  test('a range takes in what lies in it, and a node that starts knows it at once', async () => {
    await admin(url, 'block', '2001:db8:7::1/48');
    await everywhere(403, '2001:DB8:7:ffff::5');
    await nodes.restart(1);
    expect((await ask(nodes.node(1), '2001:db8:7::9')).status).toBe(403);
    await expect(open(nodes.node(1), '2001:db8:7::9')).rejects.toBeInstanceOf(ConnectRefused);
    expect((await ask(nodes.node(1), '2001:db8:8::9')).status).toBe(200);
    expect((await admin(url, 'blocks'))[0]).toMatch(/^2001:db8:7::\/48 since/);
    await admin(url, 'unblock', '2001:db8:7::/48');
  });

  test('a block ends by itself', async () => {
    await admin(url, 'block', '198.51.100.7', '--for', '6s');
    await everywhere(403, '198.51.100.7');
    await everywhere(200, '198.51.100.7');
    expect(await admin(url, 'blocks')).toEqual([]);
  });

  test('there are as many blocks as a front keeps, and no more', async () => {
    const sql = postgres(url, { max: 1 });
    await sql`
      insert into address_blocks (network, expires_at)
      select ('10.0.0.0'::inet + i)::cidr, 'infinity' from generate_series(1, 9999) i`;
    await admin(url, 'block', '192.0.2.1');
    for (const address of ['10.0.0.1', '10.0.39.15', '192.0.2.1']) await everywhere(403, address);
    const run = await runAdmin(url, 'block', '192.0.2.2');
    expect([run.code, run.lines]).toEqual([
      1,
      ['there can be 10000 blocks, of these 1000 of ranges; unblock others'],
    ]);
    expect((await ask(nodes.node(0), '192.0.2.2')).status).toBe(200);
    await sql`truncate address_blocks`;
    await everywhere(200, '10.0.0.1');
    await sql.end();
  });

  test.each([
    [64, ['block', 'example.org'], '"example.org" is no IP address and no CIDR range'],
    [64, ['block', '10.0.0.0/33'], '"10.0.0.0/33" is no IP address and no CIDR range'],
    [64, ['block', '10.0.0.1,10.0.0.2'], '"10.0.0.1,10.0.0.2" is no IP address and no CIDR range'],
    [64, ['block', '::ffff:10.0.0.1'], 'write ::ffff:10.0.0.1 as the IPv4 address that it stands for'],
    [1, ['unblock', '192.0.2.1'], '192.0.2.1 is not blocked; see: blocks'],
  ])('exit code %i for %j', async (code, args, line) => {
    const run = await runAdmin(url, ...args);
    expect([run.code, run.lines[0]]).toEqual([code, line]);
  });
});
