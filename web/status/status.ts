import { parseMetrics, quantile, type Reading, rate, seriesOf, sum } from './samples.js';

/** The status page: reads /metrics every two seconds and shows what an operator asks first. */
const EVERY_MS = 2_000;
const WINDOW_MS = 10_000; // of rates and latencies
const POINTS = 60; // of a line: two minutes
const SVG = 'http://www.w3.org/2000/svg';

interface Figure {
  readonly group: string;
  readonly label: string;
  /** Null where there is nothing to tell yet. */
  readonly value: (from: Reading, to: Reading) => number | null;
  readonly show: (value: number) => string;
}

const whole = (value: number): string => Math.round(value).toLocaleString('en');
const perSecond = (value: number): string => `${value < 10 ? value.toFixed(1) : whole(value)}/s`;
const inMs = (value: number): string => `${(value * 1_000).toFixed(value < 0.01 ? 1 : 0)} ms`;
const inMiB = (value: number): string => `${whole(value / 1_048_576)} MiB`;
const inPercent = (value: number): string => `${whole(value * 100)} %`;

const level = (group: string, label: string, name: string, show = whole): Figure => ({
  group,
  label,
  value: (_from, to) => sum(to, name),
  show,
});
const flow = (group: string, label: string, name: string, wanted = {}): Figure => ({
  group,
  label,
  value: (from, to) => rate(from, to, name, wanted),
  show: perSecond,
});
const latency = (label: string, name: string, q: number): Figure => ({
  group: 'Latencies',
  label: `${label}, ${q === 0.5 ? 'median' : `${q * 100}th percentile`}`,
  value: (from, to) => quantile(from, to, name, q),
  show: inMs,
});

const FIGURES: readonly Figure[] = [
  level('Connections', 'WebSockets open', 'parley_websocket_connections'),
  level('Connections', 'Users present', 'parley_users_present'),
  level('Connections', 'Rooms joined', 'parley_topics'),
  level('Connections', 'Slow readers', 'parley_slow_readers'),
  flow('Rates', 'Messages committed', 'parley_changes_committed_total', { kind: 'send' }),
  flow('Rates', 'Frames received', 'parley_websocket_frames_received_total'),
  flow('Rates', 'Frames sent', 'parley_websocket_frames_sent_total'),
  flow('Rates', 'REST requests', 'parley_http_request_seconds_count'),
  flow('Rates', 'Refused by a limit', 'parley_limits_hit_total'),
  latency('Acknowledgement', 'parley_ack_seconds', 0.5),
  latency('Acknowledgement', 'parley_ack_seconds', 0.99),
  latency('Delivery', 'parley_delivery_seconds', 0.99),
  latency('REST', 'parley_http_request_seconds', 0.99),
  {
    group: 'Load',
    label: 'Busiest thread',
    value: (_from, { samples }) =>
      Math.max(0, ...seriesOf(samples, 'parley_event_loop_utilization_ratio', {}).map(({ value }) => value)),
    show: inPercent,
  },
  level('Load', 'Heap', 'parley_heap_used_bytes', inMiB),
  level('Load', 'Requests in shards', 'parley_shard_requests_underway'),
];

/** Each is 1 while all is well: together what makes `/health` answer 503, and the buses between processes. */
const PARTS = [
  ['parley_ready', 'not ready'],
  ['parley_shard_up', 'a shard is down'],
  ['parley_database_up', 'the database does not answer'],
  ['parley_storage_up', 'the storage does not answer'],
  ['parley_bus_healthy', 'nothing passes between nodes, as the bus is down'],
] as const;

const health = document.getElementById('health') as HTMLElement;
const cards = FIGURES.map(drawCard);
const readings: Reading[] = [];

/** Puts a figure's card into its group. @returns what shows a value */
function drawCard({ group, label }: Figure): (value: number | null, shown: string) => void {
  const name = document.createElement('dt');
  name.textContent = label;
  const said = document.createElement('dd');
  said.textContent = '–';
  const line = document.createElementNS(SVG, 'polyline');
  const plot = document.createElementNS(SVG, 'svg');
  plot.setAttribute('viewBox', `0 0 ${POINTS - 1} 1`);
  plot.setAttribute('preserveAspectRatio', 'none');
  plot.setAttribute('aria-hidden', 'true');
  plot.append(line);
  const drawing = document.createElement('dd');
  drawing.append(plot);
  const card = document.createElement('div');
  card.append(name, said, drawing);
  listOf(group).append(card);
  const past: number[] = [];
  return (value, shown) => {
    said.textContent = shown;
    past.push(value ?? 0);
    if (past.length > POINTS) past.shift();
    const top = Math.max(...past) || 1;
    const from = POINTS - past.length;
    line.setAttribute('points', past.map((each, at) => `${from + at},${1 - each / top}`).join(' '));
  };
}

function listOf(group: string): Element {
  const id = `group-${group.toLowerCase()}`;
  const known = document.getElementById(id);
  if (known !== null) return known;
  const title = document.createElement('h2');
  title.textContent = group;
  const list = document.createElement('dl');
  list.id = id;
  document.getElementById('figures')?.append(title, list);
  return list;
}

async function read(): Promise<void> {
  try {
    const answer = await fetch('/metrics', { cache: 'no-store' });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    readings.push({ at: performance.now(), samples: parseMetrics(await answer.text()) });
    show();
  } catch {
    readings.length = 0; // what comes after a restart is not to be told from what was before
    tell('bad', 'No answer from the server: the figures are old');
  }
  setTimeout(read, EVERY_MS);
}

function show(): void {
  const to = readings.at(-1) as Reading;
  while ((readings[1]?.at ?? to.at) < to.at - WINDOW_MS) readings.shift();
  const from = readings[0] as Reading;
  for (const [at, figure] of FIGURES.entries()) {
    const value = figure.value(from, to);
    cards[at]?.(value, value === null ? '–' : figure.show(value));
  }
  const wrong = PARTS.filter(([name]) => seriesOf(to.samples, name, {}).some(({ value }) => value < 1));
  const processes = seriesOf(to.samples, 'parley_ready', {}).length;
  if (processes === 0) tell('bad', 'Unhealthy: no process answers');
  else if (wrong.length > 0) tell('bad', `Unhealthy: ${wrong.map(([, said]) => said).join(', ')}`);
  else tell('good', `Healthy: ${processes === 1 ? 'one process' : `${processes} processes`}`);
}

/** Only a change is written, so that a screen reader says it once. */
function tell(state: 'good' | 'bad', text: string): void {
  if (health.textContent === text) return;
  health.dataset.state = state;
  health.textContent = text;
}

void read();
