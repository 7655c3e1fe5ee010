/**
 * Draws some panels into docs/images of real data: starts the built server (two processes), a Prometheus that scrapes it,
 * and the load bench, and asks for each panel's own queries over the time of the run.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../src/lib/free-port.js';
import { drawPanel, type Line } from './draw.js';
import { loadBench } from './load-bench.js';
import { messagePath } from './message-path.js';
import { overview } from './overview.js';
import type { Dashboard, Panel } from './panels.js';
import { roomsAndSockets } from './rooms-and-sockets.js';

const LOAD = [
  '--connections',
  '400',
  '--rooms',
  '40',
  '--rate',
  '1500',
  '--seconds',
  '60',
  '--encoding',
  'mixed',
];
const WINDOW = '15s';
const STEP_S = 1;

/** File name → dashboard and title of the panel. */
const DRAWN: Readonly<Record<string, readonly [Dashboard, string]>> = {
  'panel-committed': [overview, 'Messages and changes committed'],
  'panel-acknowledgement': [overview, 'Acknowledgement'],
  'panel-delivery': [overview, 'Delivery'],
  'panel-threads': [overview, 'Busiest threads'],
  'panel-stages': [messagePath, 'Stages, median'],
  'panel-sockets': [roomsAndSockets, 'Open sockets by process'],
  'panel-memory': [overview, 'Memory'],
  'panel-deliveries': [loadBench, 'Messages and deliveries'],
};

export async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'parley-images-'));
  const children: ChildProcess[] = [];
  try {
    const server = start(children, process.execPath, ['dist/src/main.js'], {
      DATA_DIR: join(directory, 'data'),
      SERVER_HOST: '127.0.0.1',
      SERVER_PORT: '0',
      METRICS_PORT: '0',
      PROCESSES: '2',
      SHARDS: '1',
      RATE_LIMIT_PER_MINUTE: '0',
      AUTH_RATE_LIMIT_PER_MINUTE: '0',
      WS_SENDS_PER_SECOND: '0',
      MAX_CONNECTIONS_PER_USER: '0',
      MAX_CONNECTIONS_PER_IP: '0',
    });
    const { port, metrics_port } = await listening(server);
    const prometheus = await startPrometheus(children, directory, metrics_port);
    await sleep(5_000); // some scrapes of a server at rest
    const bench = ['dist/bench/load/main.js', '--url', `http://127.0.0.1:${port}`, ...LOAD];
    execFileSync(process.execPath, bench, { stdio: ['ignore', 'ignore', 2] });
    await sleep(3_000); // and the end of the load
    const to = Date.now() / 1_000;
    for (const [file, [dashboard, title]] of Object.entries(DRAWN)) {
      const panel = panelOf(dashboard, title);
      const lines = await linesOf(prometheus, panel, to - 80, to);
      writeFileSync(`docs/images/${file}.svg`, drawPanel(panel, lines, dashboard.title));
    }
  } finally {
    for (const child of children.reverse()) child.kill('SIGTERM');
    await Promise.all(children.map((child) => new Promise((resolve) => child.once('close', resolve))));
    rmSync(directory, { recursive: true, force: true });
  }
}

function start(
  children: ChildProcess[],
  program: string,
  args: readonly string[],
  env: Record<string, string>,
): ChildProcess {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 2] });
  children.push(child);
  return child;
}

async function listening(server: ChildProcess): Promise<{ port: number; metrics_port: number }> {
  if (server.stdout === null) throw new Error('the server has no output');
  for await (const line of createInterface({ input: server.stdout })) {
    const said = JSON.parse(line) as { event: string; port: number; metrics_port: number };
    if (said.event !== 'listening') continue;
    server.stdout.resume();
    return said;
  }
  throw new Error('the server ended at its start');
}

async function startPrometheus(
  children: ChildProcess[],
  directory: string,
  metricsPort: number,
): Promise<string> {
  const file = join(directory, 'prometheus.yml');
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s' },
    scrape_configs: [{ job_name: 'parley', static_configs: [{ targets: [`127.0.0.1:${metricsPort}`] }] }],
  };
  writeFileSync(file, JSON.stringify(config)); // JSON is YAML
  const port = await freePort({ host: '127.0.0.1', port: 0 });
  const storage = `--storage.tsdb.path=${join(directory, 'tsdb')}`;
  const listen = `--web.listen-address=127.0.0.1:${port}`;
  start(children, 'prometheus', [`--config.file=${file}`, storage, listen, '--log.level=warn'], {});
  const url = `http://127.0.0.1:${port}`;
  while (
    !(await fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    ))
  )
    await sleep(100);
  return url;
}

function panelOf(dashboard: Dashboard, title: string): Panel {
  const panel = dashboard.rows.flatMap(({ panels }) => panels).find((each) => each.title === title);
  if (panel === undefined) throw new Error(`no panel ${title}`);
  return panel;
}

async function linesOf(url: string, panel: Panel, from: number, to: number): Promise<Line[]> {
  const lines: Line[] = [];
  for (const [legend, query] of Object.entries(panel.queries)) {
    const expr = query.replaceAll('$instance', '.*').replaceAll('$__rate_interval', WINDOW);
    const form = { query: expr, start: String(from), end: String(to), step: String(STEP_S) };
    const answer = await fetch(`${url}/api/v1/query_range`, {
      method: 'POST',
      body: new URLSearchParams(form),
    });
    const { data } = (await answer.json()) as {
      data: { result: { metric: Record<string, string>; values: [number, string][] }[] };
    };
    for (const { metric, values } of data.result) {
      // One node is scraped: its name says nothing, and doesn't fit.
      const named = legend.replace('{{instance}} ', '');
      const name = named.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? '');
      lines.push({ name, points: values.map(([time, value]) => [time, Number(value)]) });
    }
  }
  return lines;
}
