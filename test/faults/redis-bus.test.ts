import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/port.js';
import { redisBus } from '../../src/bus/redis-bus.js';
import { onOneServer } from '../../src/bus/redis-place.js';
import { STREAM_MAX_LENGTH, streamKey } from '../../src/bus/redis-streams.js';
import { MAX_HELD, MAX_HELD_BYTES } from '../../src/bus/redis-writer.js';
import { startTraffic, type Traffic } from '../helpers/bus-traffic.js';
import { DEADLINE_MS, must, until, within } from '../helpers/deadline.js';
import { hasRedis, type RedisServer, startRedis } from '../helpers/redis.js';

const PARTITIONS = [0, 1, 63];

describe.skipIf(!hasRedis)('the Redis bus (skipped where the machine has no redis-server)', () => {
  let redis: RedisServer;
  let buses: Bus[];
  let logged: unknown[];
  let traffic: Traffic | null;

  beforeEach(async () => {
    redis = await startRedis();
    [buses, logged, traffic] = [[], [], null];
  });
  afterEach(async () => {
    traffic?.stop();
    await Promise.all(buses.map((bus) => bus.close()));
    await redis.kill();
  });

  function open(nodeId: string, url = redis.url): Bus {
    const keep = (line: unknown) => void logged.push(line);
    const bus = redisBus({ locate: onOneServer(url), nodeId, log: { info: keep, warn: keep } });
    buses.push(bus);
    return bus;
  }
  async function connect(nodeId: string): Promise<Bus> {
    const bus = open(nodeId);
    await until(() => bus.healthy(), `the bus of ${nodeId} being connected`);
    return bus;
  }
  async function listen(bus: Bus, partitions: readonly number[]): Promise<string[]> {
    const heard: string[] = [];
    await bus.subscribe(partitions, (_, bytes) => heard.push(Buffer.from(bytes).toString()));
    return heard;
  }
  /** Ids of the connections with this name. */
  async function clients(name: string): Promise<string[]> {
    const list = String(await redis.command('CLIENT', 'LIST'));
    return [...list.matchAll(new RegExp(`^id=(\\d+) .* name=${name} `, 'gm'))].map((found) => must(found[1]));
  }

  /** Waits until what is published from now on arrives, of every publisher and in every partition. */
  async function passing(running: Traffic): Promise<void> {
    for (const [stream, numbers] of running.heard) {
      const [name, partition] = stream.split(' ');
      const now = running.sent(must(name), Number(partition));
      await until(() => must(numbers.at(-1) ?? 0) > now, `entries of ${stream}`);
    }
  }

  const away = () => until(() => buses.every((bus) => !bus.healthy()), 'buses that notice');
  const disturbances: Record<string, () => Promise<void>> = {
    'a restart with its data': async () => {
      await redis.stop();
      await away();
      await redis.start();
    },
    'a restart without its data': async () => {
      await redis.stop();
      await redis.eraseData();
      await away();
      await redis.start();
    },
    'kill -9': async () => {
      await redis.kill();
      await away();
      await redis.start();
    },
    'a freeze longer than the watchdog': async () => {
      redis.freeze();
      await away();
      await until(
        () => buses.every((bus) => bus.stats().watchdogTrips >= (bus === buses[2] ? 2 : 1)),
        'watchdogs',
      );
      redis.thaw();
    },
    FLUSHALL: async () => void (await redis.command('FLUSHALL')),
    'its connections killed': async () => void (await redis.command('CLIENT', 'KILL', 'TYPE', 'normal')),
  };

  test.each(Object.keys(disturbances))(
    'comes back by itself after %s, with nothing twice or out of order',
    async (name) => {
      const publishers = { a: await connect('a'), b: await connect('b') };
      const listener = await connect('c');
      traffic = await startTraffic(publishers, listener, PARTITIONS);
      for (let round = 0; round < 2; round++) {
        await passing(traffic);
        await must(disturbances[name])();
        await until(() => buses.every((bus) => bus.healthy()), 'healthy buses', 2 * DEADLINE_MS);
        await passing(traffic);
      }
      expect(traffic.faults()).toEqual([]);
      expect(traffic.heard.get('a 0')?.length).toBeGreaterThan(0);
    },
  );

  test('a listener that loses its connection misses nothing', async () => {
    const [a, b] = [await connect('a'), await connect('b')];
    const heard = await listen(b, PARTITIONS);
    const sent: string[] = [];
    for (let round = 0; round < 5; round++) {
      const [reader] = await clients('parley-reader').then((ids) => ids.slice(-1));
      for (let i = 0; i < 100; i++) {
        a.publish(must(PARTITIONS[i % 3]), Buffer.from(`${round} ${i}`));
        sent.push(`${round} ${i}`);
      }
      await redis.command('CLIENT', 'KILL', 'ID', must(reader));
      for (let i = 100; i < 200; i++) {
        a.publish(must(PARTITIONS[i % 3]), Buffer.from(`${round} ${i}`));
        sent.push(`${round} ${i}`);
      }
      await until(() => heard.length === sent.length, 'all entries');
    }
    expect([...heard].sort()).toEqual([...sent].sort());
    expect(a.stats()).toMatchObject({ published: 1_000, dropped: 0 });
    expect(b.stats()).toMatchObject({ received: 1_000, missed: 0, skippedStale: 0 });
    expect(a.stats().reconnects + b.stats().reconnects).toBeGreaterThanOrEqual(5);
  });

  test('entries of a short outage are sent when Redis is back', async () => {
    const [a, b] = [await connect('a'), await connect('b')];
    const heard = await listen(b, [1]);
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal');
    await until(() => !a.healthy(), 'an interruption');
    a.publish(1, Buffer.from('meanwhile'));
    await until(() => heard.includes('meanwhile'), 'the entry');
  });

  test('a stream that begins anew with a clock behind the old one is read from its beginning', async () => {
    const [a, b] = [await connect('a'), await connect('b')];
    const heard = await listen(b, [1]);
    const future = Date.now() + 3_600_000;
    const entry = ['n', 'x', 'm', 'e:x:1', 'b', 'from the future'];
    await redis.command('XADD', streamKey(1), `${future}-0`, ...entry);
    await until(() => heard.includes('from the future'), 'the entry of the future');
    await redis.command('FLUSHALL');
    a.publish(1, Buffer.from('from the past'));
    await until(() => heard.includes('from the past'), 'the entry of the past');
    expect(heard).toEqual(['from the future', 'from the past']);
  });

  test('a stream set back to an earlier state is read on without repeating anything', async () => {
    const [a, b] = [await connect('a'), await connect('b')];
    const heard = await listen(b, [1]);
    const publish = async (...texts: string[]) => {
      for (const text of texts) a.publish(1, Buffer.from(text));
      await until(() => heard.includes(must(texts.at(-1))), `the entry ${texts.at(-1)}`);
    };
    await publish('1', '2', '3');
    await redis.command('COPY', streamKey(1), 'kept');
    await publish('4', '5');
    await redis.command('COPY', 'kept', streamKey(1), 'REPLACE');
    await until(() => b.stats().skippedStale === 3, 'the stream read again');
    await publish('6');
    expect(heard).toEqual(['1', '2', '3', '4', '5', '6']);
  });

  test('an outage costs no more memory than the queue holds, and old entries are not sent after it', async () => {
    const [a, b] = [await connect('a'), await connect('b')];
    const heard = await listen(b, [1, 2]);
    await redis.stop();
    await away();
    for (let i = 0; i < 100_000; i++) a.publish(1, Buffer.from('old'));
    expect(a.stats().dropped).toBeGreaterThanOrEqual(100_000 - MAX_HELD);
    await until(() => a.stats().dropped >= 100_000, 'entries given up');
    const megabyte = Buffer.alloc(1_000_000);
    for (let i = 0; i < 100; i++) a.publish(2, megabyte);
    expect(a.stats().dropped).toBeGreaterThanOrEqual(100_000 + 100 - MAX_HELD_BYTES / megabyte.length - 1);
    await until(() => a.stats().dropped >= 100_100, 'the large ones given up');
    await redis.start();
    await until(() => {
      a.publish(1, Buffer.from('new'));
      return heard.includes('new');
    }, 'an entry after the outage');
    expect(heard).not.toContain('old');
    expect(new Set(heard)).toEqual(new Set(['new']));
  });

  test('streams stay short and end by themselves', async () => {
    const a = await connect('a');
    const total = 3 * STREAM_MAX_LENGTH;
    for (let i = 0; i < total; i++) a.publish(1, Buffer.from('x'));
    await until(() => a.stats().published === total, 'the entries written');
    const length = Number(await redis.command('XLEN', streamKey(1)));
    expect(length).toBeGreaterThanOrEqual(STREAM_MAX_LENGTH);
    expect(length).toBeLessThan(1.5 * STREAM_MAX_LENGTH);
    await until(async () => Number(await redis.command('PTTL', streamKey(1))) > 0, 'an expiry');
  });

  test('a Redis that takes no writes makes it unhealthy until it does', async () => {
    const [a, b] = [await connect('a'), await connect('b')];
    const heard = await listen(b, [1]);
    const publish = () => a.publish(1, Buffer.from('x'));
    await redis.command('CONFIG', 'SET', 'maxmemory', 1);
    await until(() => {
      publish();
      return !a.healthy();
    }, 'an unhealthy bus');
    await redis.command('CONFIG', 'SET', 'maxmemory', 0);
    await until(() => {
      publish();
      return a.healthy() && heard.length > 0;
    }, 'entries that pass again');
    expect(a.stats().reconnects).toBe(0);
  });

  test('a subscription does not wait for a Redis that is away, and hears once it is there', async () => {
    await redis.stop();
    const [a, b] = [open('a'), open('b')];
    const heard = await within(listen(b, [1]), DEADLINE_MS, 'the subscription');
    expect(b.healthy()).toBe(false);
    await redis.start();
    await until(() => {
      a.publish(1, Buffer.from('x'));
      return heard.length > 0;
    }, 'an entry');
  });

  test('a wrong password is reported and stands in no log', async () => {
    await redis.command('CONFIG', 'SET', 'requirepass', 'right');
    const bus = open('a', redis.url.replace('redis://', 'redis://:wrong-secret@'));
    bus.publish(1, Buffer.from('content-of-a-message'));
    await until(() => logged.some((line) => JSON.stringify(line).includes('WRONGPASS')), 'a report');
    await until(() => bus.stats().dropped === 1, 'the entry given up');
    expect(bus.healthy()).toBe(false);
    expect(JSON.stringify(logged)).not.toMatch(/wrong-secret|content-of-a-message/);
  });

  test('user, password and database of the address are used', async () => {
    await redis.command('ACL', 'SETUSER', 'par@ley', 'on', '>p%ss/w', '~parley:*', '+@all');
    const bus = open('a', redis.url.replace('redis://', 'redis://par%40ley:p%25ss%2Fw@').replace(/0$/, '3'));
    await until(() => bus.healthy(), 'a bus that is logged in');
    bus.publish(1, Buffer.from('x'));
    await until(() => bus.stats().published === 1, 'the entry written');
    expect(String(await redis.command('INFO', 'keyspace'))).toMatch(/db3:keys=1/);
  });

  const conditions: Record<string, () => Promise<void> | void> = {
    'is there': () => undefined,
    'has gone': () => redis.kill(),
    'does not answer': () => redis.freeze(),
  };
  test.each(Object.keys(conditions))('closing ends and leaves nothing where Redis %s', async (name) => {
    const held = (kind: string) =>
      process.getActiveResourcesInfo().filter((one) => one.startsWith(kind)).length;
    await until(() => held('TCP') === 0, 'the connections before having ended');
    const timers = held('Timeout');
    const bus = await connect('a');
    await bus.subscribe([1], () => undefined);
    await must(conditions[name])();
    const late = open('late'); // still connecting, or trying to
    bus.publish(1, Buffer.from('x'));
    await within(Promise.all([bus.close(), late.close()]), DEADLINE_MS, 'closing');
    await until(() => held('TCP') === 0 && held('Timeout') <= timers, 'no socket and no timer');
  });
});
