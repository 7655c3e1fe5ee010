import { setInterval as every } from 'node:timers';
import type { Bus } from '../../src/bus/port.js';
import { must } from './deadline.js';

const EVERY_MS = 5;
const PER_TURN = 4;

/** Numbered entries from several buses to one, without end, and what came of them. */
export interface Traffic {
  /** Of a publisher and partition, the numbers heard, in the order of arrival. */
  readonly heard: ReadonlyMap<string, readonly number[]>;
  /** The number that a publisher has reached in a partition. */
  readonly sent: (publisher: string, partition: number) => number;
  /** Those that came again, or after a later one, as sentences: none is what a bus promises. */
  readonly faults: () => string[];
  /** The last number of each publisher and partition that is still to come; they have to be heard for `stop`'s sake. */
  readonly stop: () => void;
}

export async function startTraffic(
  publishers: Readonly<Record<string, Bus>>,
  listener: Bus,
  partitions: readonly number[],
): Promise<Traffic> {
  const heard = new Map<string, number[]>();
  const sent = new Map<string, number>();
  for (const name of Object.keys(publishers)) {
    for (const partition of partitions) {
      heard.set(`${name} ${partition}`, []);
      sent.set(`${name} ${partition}`, 0);
    }
  }
  await listener.subscribe(partitions, (partition, bytes) => {
    const [name, number] = Buffer.from(bytes).toString().split(' ');
    must(heard.get(`${name} ${partition}`)).push(Number(number));
  });
  const timer = every(() => {
    for (const [name, bus] of Object.entries(publishers)) {
      for (let i = 0; i < PER_TURN; i++) {
        for (const partition of partitions) {
          const number = must(sent.get(`${name} ${partition}`)) + 1;
          sent.set(`${name} ${partition}`, number);
          bus.publish(partition, Buffer.from(`${name} ${number}`));
        }
      }
    }
  }, EVERY_MS);
  return {
    heard,
    sent: (name, partition) => must(sent.get(`${name} ${partition}`)),
    faults: () => [...heard].flatMap(([stream, numbers]) => faultsOf(stream, numbers)),
    stop: () => clearInterval(timer),
  };
}

function faultsOf(stream: string, numbers: readonly number[]): string[] {
  return numbers.flatMap((number, i) => {
    const before = numbers[i - 1] ?? 0;
    return number > before ? [] : [`${stream}: ${number} after ${before}`];
  });
}
