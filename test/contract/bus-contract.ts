import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/port.js';

/** Buses that reach one another, and nobody else's. */
export interface BusWorld {
  /** A further bus of the node. */
  readonly connect: (nodeId: string) => Promise<Bus>;
  /** Removes what the buses, closed by then, have left. */
  readonly close: () => Promise<void>;
}

const FLOOD = 50_000; // entries: more than any queue holds
const END = 63; // a partition whose entry ends a test
const DEADLINE_MS = 10_000;

/** What every bus promises (src/bus/port.ts). */
export function busContract(name: string, open: () => Promise<BusWorld>): void {
  describe(`${name} as a bus`, () => {
    let world: BusWorld;
    let buses: Bus[];

    beforeEach(async () => {
      world = await open();
      buses = [];
    });

    afterEach(async () => {
      await Promise.all(buses.map((bus) => bus.close()));
      await world.close();
    });

    async function connect(nodeId: string): Promise<Bus> {
      const bus = await world.connect(nodeId);
      buses.push(bus);
      return bus;
    }

    /** Collects "partition:text" for what arrives. */
    async function listen(bus: Bus, partitions: readonly number[]): Promise<string[]> {
      const heard: string[] = [];
      await bus.subscribe(partitions, (partition, entry) => {
        heard.push(`${partition}:${Buffer.from(entry).toString()}`);
      });
      return heard;
    }

    test('entries of a partition arrive in the order of publishing, once', async () => {
      const [a, b] = [await connect('a'), await connect('b')];
      const heard = await listen(b, [1, 2]);
      for (let i = 0; i < 500; i++) a.publish(1 + (i % 2), text(i));
      await expect.poll(() => heard.length, { timeout: DEADLINE_MS }).toBe(500);
      for (const partition of [1, 2]) {
        const own = heard.filter((entry) => entry.startsWith(`${partition}:`));
        expect(own).toEqual(Array.from({ length: 250 }, (_, k) => `${partition}:${2 * k + partition - 1}`));
      }
    });

    test('every node hears an entry, except the one that published it, in all its buses', async () => {
      const [a, a2, b, c] = [await connect('a'), await connect('a'), await connect('b'), await connect('c')];
      const [heardA, heardA2] = [await listen(a, [1]), await listen(a2, [1])];
      const [heardB, heardC] = [await listen(b, [1]), await listen(c, [1])];
      a.publish(1, text('from a'));
      await expect
        .poll(() => [heardB, heardC], { timeout: DEADLINE_MS })
        .toEqual([['1:from a'], ['1:from a']]);
      b.publish(1, text('from b'));
      await expect
        .poll(() => [heardA, heardA2], { timeout: DEADLINE_MS })
        .toEqual([['1:from b'], ['1:from b']]);
      expect(heardB).toEqual(['1:from a']);
    });

    test('what was published before the subscription, or to another partition, does not arrive', async () => {
      const [a, b] = [await connect('a'), await connect('b')];
      a.publish(1, text('before'));
      await listen(b, [2]);
      a.publish(1, text('still before'));
      await delay(100); // a negative: time for the entries to pass nobody
      const heard = await listen(b, [1]);
      a.publish(3, text('elsewhere'));
      a.publish(1, text('after'));
      await expect.poll(() => heard, { timeout: DEADLINE_MS }).toEqual(['1:after']);
    });

    test('a later subscription adds partitions and replaces the handler of old ones', async () => {
      const [a, b] = [await connect('a'), await connect('b')];
      const first = await listen(b, [1, 2]);
      const second = await listen(b, [2, 3]);
      for (const partition of [1, 2, 3]) a.publish(partition, text('x'));
      // Partitions have an order each, and none among one another.
      const heard = () => [first, second.toSorted()];
      await expect.poll(heard, { timeout: DEADLINE_MS }).toEqual([['1:x'], ['2:x', '3:x']]);
    });

    test('bytes may be reused after publishing, and nothing is heard inside publish', async () => {
      const [a, b] = [await connect('a'), await connect('b')];
      const heard = await listen(b, [1]);
      const bytes = text('kept');
      a.publish(1, bytes);
      bytes.fill(0);
      expect(heard).toEqual([]);
      await expect.poll(() => heard, { timeout: DEADLINE_MS }).toEqual(['1:kept']);
    });

    test('signals and entries each go to their own handler, and keep their order among one another', async () => {
      const [a, b] = [await connect('a'), await connect('b')];
      const heard: string[] = [];
      const listener = (kind: string) => (partition: number, bytes: Uint8Array) => {
        heard.push(`${kind} ${partition}:${Buffer.from(bytes).toString()}`);
      };
      await b.subscribe([1, 2], listener('entry'));
      await b.subscribeSignals([1, 3], listener('signal'));
      const sent: string[] = [];
      for (let i = 0; i < 200; i++) {
        const kind = i % 3 === 0 ? 'signal' : 'entry';
        if (kind === 'signal') a.signal(1, text(i));
        else a.publish(1, text(i));
        sent.push(`${kind} 1:${i}`);
      }
      a.signal(2, text('nobody listens'));
      a.publish(3, text('nobody listens'));
      for (const partition of [2, 3]) a[partition === 2 ? 'publish' : 'signal'](partition, text('end'));
      await expect.poll(() => heard.length, { timeout: DEADLINE_MS }).toBe(202);
      expect(heard.filter((one) => one.includes(' 1:'))).toEqual(sent);
      expect(heard.filter((one) => !one.includes(' 1:')).sort()).toEqual(['entry 2:end', 'signal 3:end']);
    });

    test('bytes arrive as they were, whatever they are', async () => {
      const [a, b] = [await connect('a'), await connect('b')];
      const heard: Buffer[] = [];
      await b.subscribe([1], (_, entry) => heard.push(Buffer.from(entry)));
      const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      const sent = [all, Buffer.alloc(0), Buffer.from('\r\n$3\r\n'), Buffer.alloc(300_000, all)];
      for (const bytes of sent) a.publish(1, bytes);
      await expect.poll(() => heard.length, { timeout: DEADLINE_MS }).toBe(sent.length);
      expect(heard.every((bytes, i) => bytes.equals(sent[i] ?? Buffer.from('none')))).toBe(true);
    });

    test('what was published, lost and received is counted', async () => {
      const [a, b] = [await connect('a'), await connect('b')];
      const heard = await listen(b, [1]);
      for (let i = 0; i < FLOOD; i++) a.publish(1, text(i));
      const done = () => {
        const { published, dropped } = a.stats();
        return published + dropped >= FLOOD && heard.length;
      };
      await expect.poll(done, { timeout: DEADLINE_MS }).toBeGreaterThan(0);
      // On a busy machine what was flooded may have waited for so long that the bus was made anew.
      await expect.poll(() => a.stats().healthy, { timeout: DEADLINE_MS }).toBe(true);
      expect(a.stats().received).toBe(0);
      expect(a.stats().dropped).toBeGreaterThan(0);
      expect(b.stats()).toMatchObject({ published: 0, dropped: 0, received: heard.length });
    });

    test('a flood may lose entries but neither repeats nor reorders them, and the bus recovers', async () => {
      const [a, b] = [await connect('a'), await connect('b')];
      const heard = await listen(b, [1, END]);
      for (let i = 0; i < FLOOD; i++) a.publish(1, text(i));
      const ended = () => {
        a.publish(END, text('end')); // may be lost too: again until one arrives
        return heard.includes(`${END}:end`);
      };
      await expect.poll(ended, { timeout: DEADLINE_MS }).toBe(true);
      const numbers = heard.filter((entry) => entry.startsWith('1:')).map((entry) => Number(entry.slice(2)));
      expect(numbers.every((number, i) => i === 0 || number > Number(numbers[i - 1]))).toBe(true);
      expect(numbers.length).toBeGreaterThan(0);
    });

    test('a closed bus neither hears nor says anything, and is not healthy', async () => {
      const [a, b, c] = [await connect('a'), await connect('b'), await connect('c')];
      const [heardB, heardC] = [await listen(b, [1]), await listen(c, [1])];
      expect(b.healthy()).toBe(true);
      a.publish(1, text('queued or lost'));
      await b.close();
      await b.close();
      const atClose = heardB.length;
      expect(b.healthy()).toBe(false);
      b.publish(1, text('from the closed'));
      a.publish(1, text('last'));
      await expect.poll(() => heardC.at(-1), { timeout: DEADLINE_MS }).toBe('1:last');
      expect(heardB).toHaveLength(atClose);
      expect(heardC).not.toContain('1:from the closed');
    });
  });
}

function text(value: string | number): Uint8Array {
  return Buffer.from(String(value));
}
