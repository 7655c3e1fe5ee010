import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { inject } from 'vitest';
import { freePort } from '../../src/lib/free-port.js';
import { until } from './deadline.js';
import { spawnTracked } from './server-process.js';

/** Whether a program is to be had; Debian keeps some in /usr/sbin, which isn't on everybody's PATH. */
export function hasProgram(name: string): boolean {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  return directories.some((directory) => existsSync(join(directory, name)));
}

export const hasPrometheus = hasProgram('prometheus') && hasProgram('promtool');

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

/** A Prometheus of the test's own, with the project's rules, that scrapes once a second. Ends with the test file. */
export interface Prometheus {
  readonly url: string;
  readonly query: (expr: string) => Promise<Sample[]>;
  /** Every metric name it has seen. */
  readonly names: () => Promise<ReadonlySet<string>>;
  /** Names of the alerts that are pending or firing now. */
  readonly alerts: () => Promise<string[]>;
}

export async function startPrometheus(metricsPorts: readonly number[]): Promise<Prometheus> {
  const directory = await mkdtemp(join(inject('runDirectory'), 'prometheus-'));
  const port = await freePort({ host: '127.0.0.1', port: 0 });
  const targets = metricsPorts.map((each) => `127.0.0.1:${each}`);
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: ['rules.yml'],
    scrape_configs: [{ job_name: 'parley', static_configs: [{ targets }] }],
  };
  await copyFile('grafana/prometheus/rules.yml', join(directory, 'rules.yml'));
  await writeFile(join(directory, 'prometheus.yml'), JSON.stringify(config)); // JSON is YAML
  const running = spawnTracked(
    'prometheus',
    [
      `--config.file=${join(directory, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    {},
  );
  const url = `http://127.0.0.1:${port}`;
  const ready = () =>
    fetch(`${url}/-/ready`).then(
      (answer) => answer.ok,
      () => false,
    );
  await until(ready, `Prometheus ready: ${running.lines.join('\n')}`);

  async function ask<T>(path: string, query: Record<string, string> = {}): Promise<T> {
    const answer = await fetch(`${url}/api/v1/${path}`, {
      method: Object.keys(query).length > 0 ? 'POST' : 'GET',
      ...(Object.keys(query).length > 0 ? { body: new URLSearchParams(query) } : {}),
    });
    const body = (await answer.json()) as { status: string; error?: string; data: T };
    if (body.status !== 'success') throw new Error(`${query.query ?? path}: ${body.error}`);
    return body.data;
  }

  return {
    url,
    query: async (expr) => (await ask<{ result: Sample[] }>('query', { query: expr })).result,
    names: async () => new Set(await ask<string[]>('label/__name__/values')),
    alerts: async () => {
      const { alerts } = await ask<{ alerts: { labels: { alertname: string } }[] }>('alerts');
      return alerts.map(({ labels }) => labels.alertname);
    },
  };
}
