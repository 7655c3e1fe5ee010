/**
 * What the Redis bus carries: entries a second from one bus to another, through one partition and through all, and
 * their latency at a steady rate. Both buses run in this thread, as a shard publishes and reads in one too.
 * `npm run bench:bus -- [--url redis://…] [--seconds N] [--rounds N] [--bytes N] [--rate N]`
 */
import { cpus } from 'node:os';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Bus } from '../../src/bus/port.js';
import { redisBus } from '../../src/bus/redis-bus.js';
import { onOneServer } from '../../src/bus/redis-place.js';
import { PARTITIONS } from '../../src/protocol/ids.js';
import { startRedisProcess } from './redis-process.js';

/** Entries on their way: fewer than a stream keeps, so that none is trimmed unread, and enough to keep Redis busy. */
const WINDOW = 1_500;
const PER_TURN = 250;
const CONNECT_MS = 10_000;
const TICK_MS = 5; // of the steady rate

const log = {
  info: () => undefined,
  warn: (line: unknown) => console.error(line),
};

interface Pair {
  readonly publisher: Bus;
  readonly listener: Bus;
}

async function connect(url: string): Promise<Pair> {
  const quiet = { info: () => undefined, warn: () => undefined }; // Redis may still be starting
  const pair = {
    publisher: redisBus({ locate: onOneServer(url), nodeId: 'a', log: quiet }),
    listener: redisBus({ locate: onOneServer(url), nodeId: 'b', log }),
  };
  const giveUpAt = Date.now() + CONNECT_MS;
  while (!pair.publisher.healthy() || !pair.listener.healthy()) {
    if (Date.now() > giveUpAt) throw new Error(`no Redis at ${new URL(url).host}`);
    await sleep(20);
  }
  return pair;
}

/** Waits for what is on its way. @throws where some of it never comes */
async function quiet(done: () => boolean): Promise<void> {
  const giveUpAt = Date.now() + CONNECT_MS;
  while (!done()) {
    if (Date.now() > giveUpAt) throw new Error('entries were lost');
    await sleep(5);
  }
}

/** Entries a second that arrive. */
async function throughput({ publisher, listener }: Pair, partitions: number, bytes: number, ms: number) {
  let [sent, heard] = [0, 0];
  await listener.subscribe(range(partitions), () => {
    heard++;
  });
  const entry = Buffer.alloc(bytes, 'x');
  const start = performance.now();
  while (performance.now() - start < ms) {
    for (let i = 0; i < PER_TURN && sent - heard < WINDOW; i++) publisher.publish(sent++ % partitions, entry);
    await turn();
  }
  const rate = (heard * 1_000) / (performance.now() - start);
  await quiet(() => heard >= sent); // what is left doesn't count and mustn't reach the next round
  return rate;
}

/** Milliseconds from `publish` to the handler, sorted. */
async function latencies({ publisher, listener }: Pair, rate: number, bytes: number, ms: number) {
  const found: number[] = [];
  await listener.subscribe(range(PARTITIONS), (_, entry) => {
    found.push(performance.now() - Buffer.from(entry).readDoubleLE(0));
  });
  const start = performance.now();
  let sent = 0;
  while (performance.now() - start < ms) {
    for (const due = ((performance.now() - start) * rate) / 1_000; sent < due; sent++) {
      const entry = Buffer.alloc(Math.max(8, bytes), 'x');
      entry.writeDoubleLE(performance.now(), 0);
      publisher.publish(sent % PARTITIONS, entry);
    }
    await sleep(TICK_MS);
  }
  await quiet(() => found.length >= sent);
  return found.sort((one, other) => one - other);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new RangeError(`--${name} must be above 0`);
  return value;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      seconds: { type: 'string', default: '3' },
      rounds: { type: 'string', default: '5' },
      bytes: { type: 'string', default: '400' },
      rate: { type: 'string', default: '1000' },
    },
  });
  const ms = positive('seconds', values.seconds) * 1_000;
  const rounds = positive('rounds', values.rounds);
  const bytes = positive('bytes', values.bytes);
  const rate = positive('rate', values.rate);
  const redis = values.url === undefined ? await startRedisProcess() : null;
  const pair = await connect(values.url ?? redis?.url ?? '');
  try {
    console.log(`${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}`);
    console.log(`entries of ${bytes} bytes, ${rounds} rounds of ${ms} ms\n`);
    await throughput(pair, PARTITIONS, bytes, ms); // code gets hot
    for (const partitions of [1, PARTITIONS]) {
      const rates: number[] = [];
      for (let round = 0; round < rounds; round++) rates.push(await throughput(pair, partitions, bytes, ms));
      rates.sort((one, other) => one - other);
      const [low, middle, high] = [at(rates, 0), at(rates, 0.5), at(rates, 1)].map(Math.round);
      console.log(`${partitions} partitions: ${middle} entries/s (median; ${low} to ${high})`);
    }
    const sorted = await latencies(pair, rate, bytes, ms);
    const [p50, p99, max] = [at(sorted, 0.5), at(sorted, 0.99), at(sorted, 1)].map((one) => one.toFixed(2));
    console.log(`latency at ${rate} entries/s: p50 ${p50}, p99 ${p99}, max ${max} ms`);
    const { dropped, missed } = { ...pair.publisher.stats(), missed: pair.listener.stats().missed };
    console.log(`dropped ${dropped}, missed ${missed}`);
    if (dropped + missed > 0) process.exitCode = 1;
  } finally {
    await Promise.all([pair.publisher.close(), pair.listener.close()]);
    await redis?.stop();
  }
}

await main();
