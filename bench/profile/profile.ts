/** A `.cpuprofile` of V8, as far as it is read here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

export interface ThreadProfile {
  /** What the thread is, by the files it spent its time in. */
  readonly thread: string;
  readonly busyMs: number;
  /** Of the time it was busy. */
  readonly metricsShare: number;
  /** Functions by their own time, the largest first. */
  readonly top: readonly { readonly name: string; readonly share: number }[];
}

const METRICS = /prom-client|\/metrics\.js|thread-(metrics|figures)|observability\/timed/;
const TOP = 15;
const THREADS = [
  ['front', /src\/front\//],
  ['shard', /src\/shard\//],
  ['transfer', /src\/transfer\//],
] as const;

/** @returns null for a thread that does none of the server's work (helpers that wait). */
export function readProfile({ nodes, samples, timeDeltas }: CpuProfile): ThreadProfile | null {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const own = new Map<string, number>();
  const byThread = new Map<string, number>();
  let [busy, metrics] = [0, 0];
  for (const [i, id] of samples.entries()) {
    const frame = frames.get(id);
    const micros = timeDeltas[i] ?? 0;
    if (frame === undefined || frame.functionName === '(idle)') continue;
    busy += micros;
    if (METRICS.test(frame.url)) metrics += micros;
    for (const [thread, pattern] of THREADS)
      if (pattern.test(frame.url)) byThread.set(thread, (byThread.get(thread) ?? 0) + micros);
    const name = `${frame.functionName || '(anonymous)'} ${frame.url.split('/').slice(-3).join('/')}`.trim();
    own.set(name, (own.get(name) ?? 0) + micros);
  }
  const [most] = [...byThread].sort(([, a], [, b]) => b - a);
  if (most === undefined) return null;
  const top = [...own].sort(([, a], [, b]) => b - a).slice(0, TOP);
  return {
    thread: most[0],
    busyMs: busy / 1_000,
    metricsShare: metrics / busy,
    top: top.map(([name, micros]) => ({ name, share: micros / busy })),
  };
}
