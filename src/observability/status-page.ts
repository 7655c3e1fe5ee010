import { createHash } from 'node:crypto';
import { type Family, quantileMs, rate, type Sample, sampleOf } from './status-sample.js';

/**
 * The status page of METRICS_PORT, for people without Grafana: the server's own metrics, drawn anew every two seconds
 * without a script. Samples are taken while somebody looks.
 */
const REFRESH_S = 2;
const SAMPLES_MAX = 90; // three minutes
const FRESH_MS = 900; // several who look share a sample
const STALE_MS = 30_000; // nobody has looked for so long: the curves begin anew

const STYLE = `
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent);--good:#1a7f4b;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--good:#5fd39a;--bad:#ff8a80}}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:62rem;padding:1rem}
h1{font-size:1.4rem}h2{font-size:1rem;margin:1.2rem 0 .4rem}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.6rem;margin:0}
dl>div{border:1px solid var(--line);border-radius:8px;padding:.5rem .7rem}
dt{font-size:.85rem}dd{font-size:1.3rem;font-variant-numeric:tabular-nums;margin:0}
.good{color:var(--good)}.bad{color:var(--bad);font-weight:700}
svg{display:block;height:2.4rem;width:100%}polyline{fill:none;stroke:currentColor;stroke-width:1.5;vector-effect:non-scaling-stroke}
`;
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

export const STATUS_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const;

/** @returns what gives the page as HTML */
export function createStatusPage(collect: () => Promise<readonly Family[]>): () => Promise<string> {
  let samples: Sample[] = [];
  let sampling: Promise<void> | null = null;

  async function take(): Promise<void> {
    const families = await collect();
    const now = Date.now();
    if (now - (samples.at(-1)?.atMs ?? 0) > STALE_MS) samples = [];
    samples = [...samples, sampleOf(families, now)].slice(-SAMPLES_MAX);
  }

  return async () => {
    if (Date.now() - (samples.at(-1)?.atMs ?? 0) > FRESH_MS) {
      sampling ??= take().finally(() => {
        sampling = null;
      });
      await sampling;
    }
    return pageOf(samples);
  };
}

function pageOf(samples: readonly Sample[]): string {
  const last = samples.at(-1);
  if (last === undefined) throw new Error('no sample');
  const before = samples.at(-2) ?? last;
  const perSecond = (of: (sample: Sample) => number) => number(rate(before, last, of));
  const latency = (of: (sample: Sample) => Sample['ack']) =>
    [0.5, 0.99].map((share) => millis(quantileMs(of(before), of(last), share))).join(' / ');
  const curve = (label: string, of: (earlier: Sample, later: Sample) => number) =>
    sparkline(
      label,
      samples.slice(1).map((later, i) => of(samples[i] ?? later, later)),
    );
  const sockets = ({ sockets: { json, msgpack } }: Sample) => json + msgpack;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="${REFRESH_S}"><title>Parley status</title><style>${STYLE}</style></head><body><main>
<h1>Parley status</h1>
<h2>Health</h2><dl>
${card('Takes clients', state(last.ready, 'yes', 'no'))}
${card('PostgreSQL', state(last.databaseUp, 'answers', 'away'))}
${card('Other nodes', state(last.busHealthy, 'heard', 'cut off'))}
${card('Attachments', state(last.storageUp, 'answer', 'away'))}
${card('Shards up', state(last.shards.up === last.shards.all, `${last.shards.up} of ${last.shards.all}`))}
</dl>
<h2>Connections</h2><dl>
${card(
  'Sockets',
  number(sockets(last)),
  curve('Sockets', (_, later) => sockets(later)),
)}
${card('JSON / MessagePack', `${number(last.sockets.json)} / ${number(last.sockets.msgpack)}`)}
${card('Users present', number(last.usersPresent))}
${card('Slow readers', number(last.sockets.slow))}
</dl>
<h2>A second</h2><dl>
${card(
  'Changes committed',
  perSecond(({ committed }) => committed),
  curve('Changes committed', (a, b) => rate(a, b, ({ committed }) => committed)),
)}
${card(
  'Frames in',
  perSecond(({ framesIn }) => framesIn),
)}
${card(
  'Frames out',
  perSecond(({ framesOut }) => framesOut),
  curve('Frames out', (a, b) => rate(a, b, ({ framesOut }) => framesOut)),
)}
${card(
  'Requests',
  perSecond(({ requests }) => requests),
)}
${card(
  'Requests failed (5xx)',
  perSecond(({ failures }) => failures),
)}
${card(
  'Refused by limits',
  perSecond(({ limited }) => limited),
)}
</dl>
<h2>Milliseconds, p50 / p99</h2><dl>
${card(
  'Acknowledgement',
  latency(({ ack }) => ack),
)}
${card(
  'Delivery',
  latency(({ delivery }) => delivery),
  curve('Delivery, p99', (a, b) => quantileMs(a.delivery, b.delivery, 0.99) ?? 0),
)}
${card(
  'Database',
  latency(({ database }) => database),
)}
</dl>
<h2>Resources</h2><dl>
${card('Cores', rate(before, last, ({ cpuSeconds }) => cpuSeconds).toFixed(2))}
${card('Memory', `${number(last.rssBytes / 2 ** 20)} MiB`)}
${card(`Busiest thread: ${text(last.busiest.thread)}`, `${Math.round(last.busiest.share * 100)} %`)}
</dl>
<p>Drawn anew every ${REFRESH_S} s from <a href="/metrics">the metrics</a>; curves of the last three minutes that somebody looked.</p>
</main></body></html>
`;
}

function card(name: string, value: string, below = ''): string {
  return `<div><dt>${name}</dt><dd>${value}${below}</dd></div>`;
}

function state(isGood: boolean, good: string, bad = good): string {
  return isGood ? `<span class="good">${good}</span>` : `<span class="bad">${bad}</span>`;
}

function number(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 });
}

function millis(value: number | null): string {
  return value === null ? '–' : value.toFixed(value < 10 ? 1 : 0);
}

function text(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

function sparkline(label: string, values: readonly number[]): string {
  if (values.length < 2) return '';
  const most = Math.max(1, ...values);
  const points = values.map(
    (value, i) => `${((100 * i) / (values.length - 1)).toFixed(1)},${(29 - (28 * value) / most).toFixed(1)}`,
  );
  const name = `${label}: ${values.length} samples, at most ${number(most)}`;
  return `<svg viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label="${name}"><polyline points="${points.join(' ')}"/></svg>`;
}
