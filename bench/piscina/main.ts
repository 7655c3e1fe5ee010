/**
 * Does it cost anything to let Piscina hold the shard threads? Compares the message traffic between the main thread and a thread
 * held by Piscina (one long task, atomics off, a transferred MessagePort) with that of a bare worker_threads Worker, in
 * alternating rounds. `npm run bench:piscina -- --help`
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { Piscina, version as piscinaVersion } from 'piscina';
import { measureTraffic } from './traffic.js';

const THREAD = fileURLToPath(new URL('./thread.js', import.meta.url));

const USAGE = `npm run bench:piscina -- [options]

  --rounds N     of each, in turn (7)
  --seconds N    a round (1)
  --batch N      messages in a batch (50)
  --window N     batches under way (8)
  --help`;

/** Fewer rounds say little about a shared machine. */
const MIN_ROUNDS = 5;

/** One way of holding a thread: a port to it, and how to end it. */
interface Held {
  readonly name: string;
  readonly port: MessagePort;
  readonly end: () => Promise<void>;
}

function holdByPiscina(): Held {
  const { port1, port2 } = new MessageChannel();
  const pool = new Piscina<MessagePort, void>({
    filename: THREAD,
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 1,
    atomics: 'disabled',
  });
  const task = pool.run(port2, { name: 'serve', transferList: [port2] });
  return {
    name: 'piscina',
    port: port1,
    end: async () => {
      port1.close();
      await task;
      await pool.close();
    },
  };
}

function holdByWorker(): Held {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(THREAD, { workerData: { barePort: port2 }, transferList: [port2] });
  return {
    name: 'bare worker',
    port: port1,
    end: async () => {
      port1.close();
      await worker.terminate();
    },
  };
}

/** The middle value, or the mean of the two in the middle. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length / 2;
  const [low = 0, high = 0] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

function positive(name: string, text: string, min: number): number {
  const value = Number(text);
  if (!(value >= min)) throw new RangeError(`--${name} must be at least ${min}`);
  return value;
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US').padStart(12);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '7' },
      seconds: { type: 'string', default: '1' },
      batch: { type: 'string', default: '50' },
      window: { type: 'string', default: '8' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const rounds = positive('rounds', values.rounds, MIN_ROUNDS);
  const ms = positive('seconds', values.seconds, 0.05) * 1_000;
  const batch = positive('batch', values.batch, 1);
  const window = positive('window', values.window, 1);
  console.log(
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}, Piscina ${piscinaVersion}`,
  );
  console.log(`${rounds} rounds of ${ms} ms each, in turn; batches of ${batch}, ${window} under way\n`);

  const held = [holdByPiscina(), holdByWorker()] as const;
  const rates = held.map((): number[] => []);
  // One round of each before counting: threads start and code gets hot.
  for (const { port } of held) await measureTraffic(port, batch, window, ms);
  for (let round = 0; round < rounds; round += 1) {
    // A, B then B, A: what drifts in the machine hits both alike.
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    for (const which of order) {
      const { port } = held[which] as Held;
      rates[which]?.push(await measureTraffic(port, batch, window, ms));
    }
  }
  for (const { end } of held) await end();

  console.log(
    `${'messages a second'.padEnd(20)}${['median', 'min', 'max'].map((name) => name.padStart(12)).join('')}`,
  );
  for (const [which, { name }] of held.entries()) {
    const list = rates[which] ?? [];
    console.log(
      name.padEnd(20) + [median(list), Math.min(...list), Math.max(...list)].map(thousands).join(''),
    );
  }
  const [piscina = [], bare = []] = rates;
  const ratios = piscina.map((rate, round) => rate / (bare[round] ?? Number.NaN));
  console.log(
    `\npiscina / bare worker: ${median(ratios).toFixed(3)} (median of the rounds; ${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)})`,
  );
}

await main();
