/**
 * The measured time cut into slots, for plots: what was sent, acknowledged and delivered in each, and how long deliveries took. Latencies
 * go into buckets of an eighth of an octave (9 % wide), so that a slot costs a kilobyte and slots of several loaders add up.
 */

/** Slots of a long run grow rather than multiply: a plot has no room for more. */
const MAX_SLOTS = 600;

const BUCKETS_PER_OCTAVE = 8;

/** 2^30 µs are 18 minutes; longer latencies count as the last bucket. */
const BUCKETS = 30 * BUCKETS_PER_OCTAVE;

interface SlotData {
  sent: number;
  acked: number;
  delivered: number;
  readonly buckets: Uint32Array;
}

/** What travels between processes. */
export interface TimelineData {
  readonly slotSeconds: number;
  readonly slots: readonly SlotData[];
}

/** One slot, ready to be plotted. Rates a second, latencies in milliseconds; null where nothing was delivered. */
export interface TimelinePoint {
  readonly second: number;
  readonly sent: number;
  readonly acked: number;
  readonly delivered: number;
  readonly p50: number | null;
  readonly p99: number | null;
}

export interface Timeline {
  sent(nowMicros: number): void;
  acked(nowMicros: number): void;
  delivered(latencyMicros: number, nowMicros: number): void;
  readonly data: TimelineData;
}

function bucketOf(micros: number): number {
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(Math.max(1, micros)) * BUCKETS_PER_OCTAVE));
}

/** The middle of a bucket, milliseconds. */
function millisecondsOf(bucket: number): number {
  return 2 ** ((bucket + 0.5) / BUCKETS_PER_OCTAVE) / 1_000;
}

/** @returns an empty timeline of a window; what happens outside of it isn't noted. */
export function createTimeline(fromMicros: number, toMicros: number): Timeline {
  const seconds = Math.max(0, toMicros - fromMicros) / 1e6;
  const slotSeconds = Math.max(1, Math.ceil(seconds / MAX_SLOTS));
  const slots: SlotData[] = Array.from({ length: Math.ceil(seconds / slotSeconds) }, () => ({
    sent: 0,
    acked: 0,
    delivered: 0,
    buckets: new Uint32Array(BUCKETS),
  }));
  const slotAt = (now: number) => slots[Math.floor((now - fromMicros) / (slotSeconds * 1e6))];
  return {
    sent(now) {
      const slot = slotAt(now);
      if (slot !== undefined) slot.sent += 1;
    },
    acked(now) {
      const slot = slotAt(now);
      if (slot !== undefined) slot.acked += 1;
    },
    delivered(latency, now) {
      const slot = slotAt(now);
      if (slot === undefined) return;
      slot.delivered += 1;
      const bucket = bucketOf(latency);
      slot.buckets[bucket] = (slot.buckets[bucket] as number) + 1;
    },
    data: { slotSeconds, slots },
  };
}

function percentile(buckets: Uint32Array, count: number, share: number): number | null {
  let seen = 0;
  for (const [bucket, inBucket] of buckets.entries()) {
    seen += inBucket;
    if (inBucket > 0 && seen >= count * share) return millisecondsOf(bucket);
  }
  return null;
}

/** Adds up the timelines of several loaders, which cover the same window. */
export function mergeTimelines(timelines: readonly TimelineData[]): TimelinePoint[] {
  const { slotSeconds, slots } = timelines[0] ?? { slotSeconds: 1, slots: [] };
  return slots.map((_, index) => {
    const all = timelines.flatMap((timeline) => timeline.slots[index] ?? []);
    const sum = (pick: (slot: SlotData) => number) => all.reduce((total, slot) => total + pick(slot), 0);
    const buckets = new Uint32Array(BUCKETS);
    for (const slot of all)
      for (const [bucket, count] of slot.buckets.entries())
        buckets[bucket] = (buckets[bucket] as number) + count;
    const delivered = sum((slot) => slot.delivered);
    return {
      second: index * slotSeconds,
      sent: sum((slot) => slot.sent) / slotSeconds,
      acked: sum((slot) => slot.acked) / slotSeconds,
      delivered: delivered / slotSeconds,
      p50: percentile(buckets, delivered, 0.5),
      p99: percentile(buckets, delivered, 0.99),
    };
  });
}
