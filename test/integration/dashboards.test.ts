import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { alerts, recordings, runbookOf } from '../../scripts/grafana/rules.js';
import { upload } from '../helpers/attachments.js';
import { must, until } from '../helpers/deadline.js';
import { type Load, startLoad } from '../helpers/load.js';
import { createMember } from '../helpers/member-view.js';
import { hasProgram, hasPrometheus, type Prometheus, startPrometheus } from '../helpers/prometheus.js';
import { newAccount, refusalOf, restClient } from '../helpers/rest-client.js';
import { type Server, startServer, startServerWithDatabase } from '../helpers/server-process.js';
import { connect } from '../helpers/ws-client.js';

const DASHBOARDS = 'grafana/dashboards';
const ALERTMANAGER = 'grafana/alertmanager/alertmanager.yml';

interface Target {
  readonly where: string;
  readonly expr: string;
}

interface PanelJson {
  readonly title: string;
  readonly type: string;
  readonly description?: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const panels = readdirSync(DASHBOARDS).flatMap((file) => {
  const { panels } = JSON.parse(readFileSync(join(DASHBOARDS, file), 'utf8')) as { panels: PanelJson[] };
  return panels.filter(({ type }) => type !== 'row').map((panel) => ({ file, ...panel }));
});

/** Every query there is; alerts without their thresholds. */
const targets: readonly Target[] = [
  ...panels.flatMap(({ file, title, targets = [] }) =>
    targets.map(({ expr }) => ({
      where: `${file}: ${title}`,
      expr: asked(expr),
    })),
  ),
  ...alerts.flatMap(({ name, conditions }) => conditions.map(({ expr }) => ({ where: name, expr }))),
  ...recordings.map(({ record }) => ({ where: 'a recording', expr: record })),
];

test('every panel says what it shows and what to do when it is red, and every alert has its runbook', () => {
  const mute = panels.filter(
    ({ description }) => !/.+\n\n\*\*When it is red:\*\* .+/.test(description ?? ''),
  );
  expect(mute.map(({ title }) => title)).toEqual([]);
  const missing = alerts.filter((alert) => !existsSync(`docs/runbooks/${runbookOf(alert)}.md`));
  expect(missing.map(({ name }) => name)).toEqual([]);
  const written = readdirSync('docs/runbooks').filter((page) => page !== 'README.md');
  expect(written.sort()).toEqual(alerts.map((alert) => `${runbookOf(alert)}.md`).sort());
});

test('every alert has a rule test in which it fires', () => {
  const cases = readFileSync('grafana/prometheus/rules.test.yml', 'utf8');
  const fired = new Set(
    [...cases.matchAll(/alertname: (\w+)\s+exp_alerts:\s+- exp_labels/g)].map(([, name]) => name),
  );
  expect(alerts.map(({ name }) => name).filter((name) => !fired.has(name))).toEqual([]);
});

test('what a panel or a pager says leads to the runbook by an address that stands alone', () => {
  const base = 'https://github.com/parley/parley/blob/main/docs/runbooks/';
  const rules = readFileSync('grafana/prometheus/rules.yml', 'utf8');
  for (const alert of alerts)
    expect(rules).toContain(`runbook_url: ${JSON.stringify(`${base}${runbookOf(alert)}.md`)}`);
  const named = panels.flatMap(
    ({ description = '' }) => description.match(/\[?\bParley[A-Z]\w+.*?(?:\)|$)/gm) ?? [],
  );
  expect(named.length).toBeGreaterThan(0);
  for (const link of named) {
    const name = /Parley\w+/.exec(link)?.[0] ?? '';
    expect(link).toBe(`[${name}](${base}${runbookOf({ name })}.md)`);
  }
});

test('every alert and runbook that a panel names exists', () => {
  const named = panels.flatMap(({ description = '' }) => description.match(/\bParley[A-Z]\w+/g) ?? []);
  const known = new Set(alerts.map(({ name }) => name));
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test('every alert that another one silences exists', () => {
  const named = readFileSync(ALERTMANAGER, 'utf8').match(/\bParley[A-Z]\w+/g) ?? [];
  expect(named.length).toBeGreaterThan(1);
  const known = new Set(alerts.map(({ name }) => name));
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

describe.skipIf(!hasProgram('amtool'))('with Alertmanager (skipped where the machine has no amtool)', () => {
  const amtool = (...args: string[]) => execFileSync('amtool', args, { encoding: 'utf8', stdio: 'pipe' });

  test('amtool finds nothing wrong with its configuration, which sends every alert by its severity', () => {
    expect(amtool('check-config', ALERTMANAGER)).toContain('SUCCESS');
    for (const { name, severity } of alerts) {
      const labels = [`alertname=${name}`, `severity=${severity}`];
      const routed = amtool('config', 'routes', 'test', `--config.file=${ALERTMANAGER}`, ...labels);
      expect(routed.trim(), name).toBe(severity);
    }
  });
});

describe.skipIf(!hasPrometheus)('with Prometheus (skipped where the machine has no prometheus)', () => {
  test('promtool finds nothing wrong with the configuration, the rules and what they are tested for', {
    timeout: 60_000, // its tests of rules alone take 5 s of CPU
  }, () => {
    const promtool = (...args: string[]) =>
      execFileSync('promtool', args, { encoding: 'utf8', stdio: 'pipe' });
    promtool('check', 'config', 'grafana/prometheus/prometheus.yml');
    promtool('check', 'rules', 'grafana/prometheus/rules.yml');
    promtool('test', 'rules', 'grafana/prometheus/rules.test.yml');
  });

  describe('on a node of two processes under load, and another', () => {
    let server: Server;
    let other: Server;
    let prometheus: Prometheus;
    let load: Load;

    beforeAll(async () => {
      const { database, ...first } = await startServerWithDatabase({
        PROCESSES: '2',
        SHARDS: '1',
        UPLOADS_PER_MINUTE: '0',
      });
      server = first;
      other = await startServer({ env: { DATABASE_URL: database.url, SHARDS: '1' } });
      prometheus = await startPrometheus([server.metricsPort, other.metricsPort]);
      load = await startLoad({ server: () => server, members: 6, rooms: 3, ordered: false });
      await load.acks(100);
      await doOtherThings(server, load);
      const rest = restClient(server.url);
      const seen = 'count_over_time(parley_http_request_seconds_count{route="get_me",code="ok"}[5m])';
      await until(
        async () => {
          await rest.get('/users/me', load.owner.token);
          await rest.get(`/attachments/${load.owner.id}`, load.owner.token); // not found, and counted
          await uploadText(server, load);
          await rest.login({ email: 'nobody@example.org', password: 'hashed all the same' });
          return Number((await prometheus.query(seen))[0]?.value[1]) >= 5;
        },
        'some scrapes under REST requests',
        60_000,
      );
    }, 120_000);

    test('every query of a panel, alert or recording gives data, and knows every metric that it names', {
      timeout: 120_000,
    }, async () => {
      await load.acks(100);
      const known = await prometheus.names();
      const unknown = targets.flatMap(({ where, expr }) =>
        namesIn(expr)
          .filter((name) => !known.has(name))
          .map((name) => `${where}: ${name}`),
      );
      expect(unknown).toEqual([]);
      const empty: string[] = [];
      for (const { where, expr } of targets) {
        const samples = await prometheus.query(expr);
        if (!samples.some(({ value }) => Number.isFinite(Number(value[1])))) empty.push(`${where}: ${expr}`);
      }
      expect(empty).toEqual([]);
    });

    test('every thread of every process tells how busy, late and large it is', async () => {
      for (const name of [
        'parley_event_loop_utilization_ratio',
        'parley_event_loop_lag_seconds',
        'parley_heap_used_bytes',
      ]) {
        const shown = await prometheus.query(`count by (instance, process, thread) (${name})`);
        const of = (wanted: string) => shown.filter(({ metric }) => metric.thread === wanted).length;
        for (const thread of ['front', 'shard-0', 'transfer', 'cpu-0'])
          expect(of(thread), `${name} of ${thread}`).toBe(3);
      }
    });

    test('what is shown by process tells the nodes apart', { timeout: 60_000 }, async () => {
      const nodes = [server, other].map(({ metricsPort }) => `127.0.0.1:${metricsPort}`).sort();
      const byProcess = panels.flatMap(({ file, title, targets = [] }) =>
        targets
          .filter(({ expr, legendFormat }) => /process\b[^_]|{{process}}/.test(`${legendFormat} ${expr}`))
          .map(({ expr, legendFormat }) => ({ where: `${file}: ${title}`, expr: asked(expr), legendFormat })),
      );
      expect(byProcess.length).toBeGreaterThan(10);
      for (const { where, expr, legendFormat } of byProcess) {
        expect(legendFormat, where).toContain('{{instance}}');
        const shown = await prometheus.query(expr);
        const instances = new Set(shown.map(({ metric }) => metric.instance));
        expect([...instances].sort(), where).toEqual(nodes);
      }
    });

    test('the figures are those of both processes, and agree with what was done', async () => {
      const processes = await prometheus.query(
        `count by (process) (parley_ready{instance="127.0.0.1:${server.metricsPort}"} == 1)`,
      );
      expect(processes.map(({ metric }) => metric.process).sort()).toEqual(['0', '1']);
      const acked = load.senders.reduce((sum, sender) => sum + sender.acked(), 0);
      const committed = async () =>
        Number(
          must((await prometheus.query('sum(parley_changes_committed_total{kind="send"})'))[0]).value[1],
        );
      await until(async () => (await committed()) >= acked, 'all messages counted');
      expect(await load.finish()).toEqual([]);
    });
  });
});

/** A panel's query, Grafana's variables replaced. */
function asked(expr: string): string {
  return expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '30s');
}

/** What not every load does: reads, a refused log-in, a bad frame, a resume, a reader that pauses. */
async function doOtherThings(server: Server, load: Load): Promise<void> {
  const rest = restClient(server.url);
  const account = await newAccount(rest);
  const wrong = await rest.login({ email: account.email, password: 'not the password' });
  expect(refusalOf(wrong)).toEqual({ status: 401, code: 'invalid_credentials' });
  const roomId = must(load.roomIds[0]);
  expect((await rest.messages(load.owner.token, roomId)).status).toBe(200);
  const client = await connect({ wsUrl: server.wsUrl, token: load.owner.token, encoding: 'msgpack' });
  await client.ask('resume', { rooms: [{ room_id: roomId, since: 0 }] });
  await client.request('sync', { since: 0, limit: 10 }, roomId);
  await client.request('no_such_frame');
  client.socket.close();
  const slow = createMember({
    wsUrl: () => server.wsUrl,
    account: load.owner,
    encoding: 'json',
    mayMiss: true,
  });
  await slow.connect();
  await slow.join(roomId);
  must(slow.client()).socket.pause();
}

async function uploadText(server: Server, load: Load): Promise<void> {
  const text = { name: 'a.txt', type: 'text/plain', bytes: Buffer.from('an attachment') };
  const { status } = await upload(server.url, load.owner.token, must(load.roomIds[0]), text);
  expect(status).toBe(201);
}

/** Metric names in an expression: what isn't a function, keyword, label or string. */
function namesIn(expr: string): string[] {
  const bare = expr
    .replaceAll(/"[^"]*"/g, '')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '');
  return bare.match(/\b(?:parley|process|nodejs|up)[\w:]*_[\w:]+|\bup\b|\bparley:[\w:]+/g) ?? [];
}
