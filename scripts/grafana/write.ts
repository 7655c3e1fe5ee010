/**
 * Writes grafana/dashboards/*.json and grafana/prometheus/rules.yml. With `--check` it writes nothing and exits 1
 * where a file is stale. RUNBOOK_BASE is the address of the folder of runbooks, for those who keep them elsewhere.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { attachments } from './attachments.js';
import { dependencies } from './dependencies.js';
import { loadBench } from './load-bench.js';
import { messagePath } from './message-path.js';
import { overview } from './overview.js';
import type { Dashboard, Panel } from './panels.js';
import { roomsAndSockets } from './rooms-and-sockets.js';
import { type Alert, alerts, expressionOf, recordings, runbookOf } from './rules.js';

// To add a subsystem's dashboard put its file beside these and name it here.
export const dashboards: readonly Dashboard[] = [
  overview,
  messagePath,
  roomsAndSockets,
  dependencies,
  attachments,
  loadBench,
];

/** Where the runbooks are read: a link in a pager's message has no page that it could be relative to. */
const RUNBOOK_BASE = 'https://github.com/parley/parley/blob/main/docs/runbooks/';
const COLUMNS = 24; // of Grafana's grid
const STAT_HEIGHT = 4;
const LINES_HEIGHT = 8;
// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana's
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

export function dashboardJson(dashboard: Dashboard, runbookBase: string): unknown {
  let y = 0;
  const panels: unknown[] = [];
  for (const { title, panels: inRow } of dashboard.rows) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: [],
    });
    y += 1;
    const perLine = Math.min(4, inRow.length === 5 ? 3 : inRow.length);
    for (let from = 0; from < inRow.length; from += perLine) {
      const line = inRow.slice(from, from + perLine);
      const h = line.every((panel) => panel.stat) ? STAT_HEIGHT : LINES_HEIGHT;
      const w = COLUMNS / perLine;
      for (const [i, panel] of line.entries())
        panels.push(panelJson(panel, panels.length + 1, { x: i * w, y, w, h }, runbookBase));
      y += h;
    }
  }
  return {
    uid: dashboard.name,
    title: dashboard.title,
    tags: ['parley'],
    timezone: 'browser',
    editable: false,
    refresh: '10s',
    schemaVersion: 39,
    time: { from: 'now-1h', to: 'now' },
    links: [{ type: 'dashboards', title: 'Parley', tags: ['parley'], asDropdown: true, keepTime: true }],
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Data source' },
        {
          name: 'instance',
          type: 'query',
          label: 'Node',
          datasource: DATASOURCE,
          query: 'label_values(parley_ready, instance)',
          refresh: 2,
          includeAll: true,
          multi: true,
          allValue: '.*',
          current: { text: 'All', value: '$__all' },
        },
      ],
    },
    panels,
  };
}

function panelJson(panel: Panel, id: number, gridPos: object, runbookBase: string): unknown {
  const { redAbove, redBelow, unit } = panel;
  const steps =
    redAbove !== undefined
      ? [
          { color: 'green', value: null },
          { color: 'red', value: redAbove },
        ]
      : redBelow !== undefined
        ? [
            { color: 'red', value: null },
            { color: 'green', value: redBelow },
          ]
        : [{ color: 'green', value: null }];
  const isBounded = redAbove !== undefined || redBelow !== undefined;
  return {
    id,
    type: panel.stat ? 'stat' : 'timeseries',
    title: panel.title,
    description: `${panel.shows}\n\n**When it is red:** ${withLinks(panel.red, runbookBase)}`,
    datasource: DATASOURCE,
    gridPos,
    fieldConfig: {
      defaults: {
        unit,
        ...(panel.stat ? { decimals: 3 } : { min: 0 }),
        thresholds: { mode: 'absolute', steps },
        ...(panel.stat
          ? { color: { mode: 'thresholds' } }
          : { custom: { fillOpacity: 8, thresholdsStyle: { mode: isBounded ? 'line' : 'off' } } }),
      },
      overrides: [],
    },
    options: panel.stat
      ? { colorMode: 'background', reduceOptions: { calcs: ['lastNotNull'] } }
      : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    targets: Object.entries(panel.queries).map(([legend, expr], i) => ({
      refId: String.fromCharCode(65 + i),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
    })),
  };
}

/** A text in which every alert that it names leads to its runbook. */
function withLinks(text: string, runbookBase: string): string {
  return text.replaceAll(/\bParley[A-Z]\w+/g, (name) => `[${name}](${runbookUrl({ name }, runbookBase)})`);
}

function runbookUrl(alert: Pick<Alert, 'name'>, base: string): string {
  return `${base}${runbookOf(alert)}.md`;
}

/** The rule file, in YAML; strings as JSON, which is YAML too. */
export function rulesYaml(runbookBase: string): string {
  const rules = alerts.map((alert) =>
    [
      `      - alert: ${alert.name}`,
      `        expr: ${JSON.stringify(expressionOf(alert))}`,
      `        for: ${alert.for}`,
      `        labels: {severity: ${alert.severity}}`,
      '        annotations:',
      `          summary: ${JSON.stringify(alert.summary)}`,
      `          runbook_url: ${JSON.stringify(runbookUrl(alert, runbookBase))}`,
    ].join('\n'),
  );
  const recorded = recordings.map(
    ({ record, expr }) => `      - record: ${record}\n        expr: ${JSON.stringify(expr)}`,
  );
  return `# Generated from scripts/grafana/rules.ts by \`node scripts/grafana.mjs\`: don't edit.
groups:
  - name: parley-recordings
    rules:
${recorded.join('\n')}
  - name: parley-alerts
    rules:
${rules.join('\n')}
`;
}

/** The same rules for the Prometheus operator. */
function prometheusRule(rules: string): string {
  const [comment = '', ...lines] = rules.trimEnd().split('\n');
  const spec = lines.map((line) => `  ${line}`).join('\n');
  return `${comment}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: parley
spec:
${spec}
`;
}

export function main(isCheck: boolean): void {
  const runbookBase = (process.env.RUNBOOK_BASE || RUNBOOK_BASE).replace(/\/?$/, '/');
  const rules = rulesYaml(runbookBase);
  const files = [
    ...dashboards.map(
      (dashboard) =>
        [
          `grafana/dashboards/${dashboard.name}.json`,
          `${JSON.stringify(dashboardJson(dashboard, runbookBase), null, 2)}\n`,
        ] as const,
    ),
    ['grafana/prometheus/rules.yml', rules] as const,
    ['grafana/prometheus/prometheus-rule.yaml', prometheusRule(rules)] as const,
  ];
  for (const [path, text] of files.filter(([path, text]) => current(path) !== text)) {
    if (isCheck) {
      console.error(`${path} is stale: run node scripts/grafana.mjs`);
      process.exitCode = 1;
    } else writeFileSync(path, text);
  }
}

function current(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
