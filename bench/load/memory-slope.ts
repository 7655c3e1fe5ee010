/** Resident memory of the server beside how many sockets it held. */
export interface MemorySample {
  readonly sockets: number;
  readonly bytes: number;
}

/** Fewer say nothing about a slope. */
const MIN_SAMPLES = 4;

/** Bytes a socket, by least squares over the second half of the sockets. @returns undefined where there are too few samples. */
export function marginalBytes(samples: readonly MemorySample[]): number | undefined {
  const most = Math.max(0, ...samples.map((sample) => sample.sockets));
  const upper = samples.filter((sample) => sample.sockets >= most / 2);
  if (upper.length < MIN_SAMPLES) return undefined;
  const mean = (pick: (sample: MemorySample) => number) =>
    upper.reduce((sum, sample) => sum + pick(sample), 0) / upper.length;
  const sockets = mean((sample) => sample.sockets);
  const bytes = mean((sample) => sample.bytes);
  const spread = mean((sample) => (sample.sockets - sockets) ** 2);
  if (spread === 0) return undefined;
  return mean((sample) => (sample.sockets - sockets) * (sample.bytes - bytes)) / spread;
}
