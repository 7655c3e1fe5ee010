import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clockMicros } from '../../bench/load/clock.js';
import { parseOptions, UsageError } from '../../bench/load/options.js';
import { planLoad, zipfSizes } from '../../bench/load/plan.js';
import { parseKilobytes, parseStat } from '../../bench/load/proc-files.js';
import { dueAt, dueCount, runSchedule, shareSchedule } from '../../bench/load/schedule.js';

function options(...argv: string[]) {
  const parsed = parseOptions(argv);
  if (parsed === undefined) throw new Error('help was asked for');
  return parsed;
}

describe('the plan of a load run', () => {
  it('gives every socket its rooms, every room its size, every loader its share', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 4 }),
        (connections, wantedRooms, wantedPerSocket, wantedProcesses) => {
          const roomsPerSocket = Math.min(wantedPerSocket, wantedRooms);
          const rooms = Math.min(wantedRooms, connections * roomsPerSocket);
          const perSocket = Math.min(roomsPerSocket, rooms);
          const processes = Math.min(wantedProcesses, connections);
          const plan = planLoad({
            ...options(),
            connections,
            rooms,
            roomsPerSocket: perSocket,
            users: Math.min(200, connections),
            senders: connections,
            processes,
          });
          expect(plan.sockets.every((socket) => new Set(socket.rooms).size === perSocket)).toBe(true);
          const sizes = plan.rooms.map((room) => room.sockets);
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
          expect(Math.min(...sizes)).toBeGreaterThanOrEqual(1);
          for (const socket of plan.sockets) {
            for (const room of socket.rooms) expect(plan.rooms[room]?.members).toContain(socket.user);
          }
          expect([...plan.senders].sort((one, other) => one - other)).toEqual(
            plan.sockets.map(({ index }) => index),
          );
        },
      ),
    );
  });

  it('puts different users into a room, and spreads a room over loaders and encodings', () => {
    const plan = planLoad(
      options('--connections', '1000', '--rooms', '100', '--processes', '2', '--encoding', 'mixed'),
    );
    for (const [index, room] of plan.rooms.entries()) {
      const sockets = plan.sockets.filter((socket) => socket.rooms.includes(index));
      expect(room.members).toHaveLength(10);
      expect(sockets.filter((socket) => socket.loader === 0)).toHaveLength(5);
      expect(sockets.filter((socket) => socket.encoding === 'json')).toHaveLength(5);
    }
  });

  it('depends on the seed alone', () => {
    const order = (seed: string) =>
      planLoad(options('--connections', '50', '--rooms', '5', '--seed', seed)).senders;
    expect(order('3')).toEqual(order('3'));
    expect(order('3')).not.toEqual(order('4'));
  });

  it('gives each shape its number of rooms', () => {
    const roomsOf = (shape: string) => options('--connections', '500', '--shape', shape).rooms;
    expect(['even', 'many-small', 'few-large', 'one-huge', 'zipf'].map(roomsOf)).toEqual([
      100, 100, 10, 1, 100,
    ]);
  });

  it('sizes zipf rooms as one over their rank, none empty, and uses every socket once', () => {
    expect(zipfSizes(1_000, 4)).toEqual([480, 240, 160, 120]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(5_000), (rooms, more) => {
        const sizes = zipfSizes(rooms + more, rooms);
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(rooms + more);
        expect(Math.min(...sizes)).toBeGreaterThanOrEqual(1);
        expect(sizes).toEqual([...sizes].sort((one, other) => other - one));
      }),
    );
    const plan = planLoad(options('--connections', '300', '--shape', 'zipf', '--rooms', '20'));
    expect(plan.rooms.map((room) => room.sockets)).toEqual(zipfSizes(300, 20));
    for (const socket of plan.sockets)
      for (const room of socket.rooms) expect(plan.rooms[room]?.members).toContain(socket.user);
  });

  it('takes no slow reader for a sender', () => {
    const plan = planLoad(options('--connections', '50', '--slow-readers', '7'));
    const slow = plan.sockets.filter((socket) => socket.slow).map((socket) => socket.index);
    expect(slow).toHaveLength(7);
    expect(plan.senders).toHaveLength(43);
    expect(plan.senders.filter((sender) => slow.includes(sender))).toEqual([]);
  });

  it('spreads many sockets over processes, source addresses and the servers that are given', () => {
    const many = options('--connections', '40000', '--url', 'http://127.0.0.1:1,http://127.0.0.1:2');
    expect([many.processes, many.sourceAddresses]).toEqual([3, 2]);
    const plan = planLoad(many);
    const count = (pick: (socket: (typeof plan.sockets)[number]) => unknown) => {
      const counts = new Map<unknown, number>();
      for (const socket of plan.sockets) counts.set(pick(socket), (counts.get(pick(socket)) ?? 0) + 1);
      return [...counts.values()];
    };
    expect(count((socket) => socket.target)).toEqual([20_000, 20_000]);
    expect(count((socket) => socket.localAddress)).toEqual([20_000, 20_000]);
    for (const sockets of count((socket) => socket.loader)) expect(sockets).toBeLessThan(15_000);
  });

  it('says what is wrong with an option', () => {
    const wrong = [
      ['--connections', '0'],
      ['--rate', 'fast'],
      ['--encoding', 'xml'],
      ['--payload-bytes', '5'],
      ['--rooms', '5', '--connections', '4'],
      ['--rooms-per-socket', '101'],
      ['--senders', '1001'],
      ['--nonsense'],
      ['--shape', 'star'],
      ['--shape', 'one-huge', '--rooms', '2'],
      ['--shape', 'zipf', '--rooms-per-socket', '2'],
      ['--slow-readers', '1000'],
      ['--url', 'https://chat.example.com'],
      ['--url', 'http://127.0.0.1:1,nonsense'],
      ['--idle', '--ramp'],
      ['--dialect', 'socket.io', '--jitter', '1'],
      ['--rate', ''],
    ];
    for (const argv of wrong) expect(() => parseOptions(argv), argv.join(' ')).toThrow(UsageError);
  });
});

describe('the open-loop schedule', () => {
  it('shares the rate over the loaders by senders, without two messages due at once', () => {
    const start = 1_000_000;
    const share = (loader: number, senders: number) =>
      shareSchedule({ rate: 1_000, senders, allSenders: 10, loader, seconds: 2 }, start);
    const [first, second] = [share(0, 5), share(1, 5)];
    expect(first.total + second.total).toBe(2_000);
    const due = [first, second].flatMap((one) =>
      Array.from({ length: one.total }, (_, number) => dueAt(one, number)),
    );
    expect(new Set(due).size).toBe(2_000);
    expect(Math.max(...due)).toBeLessThan(start + 2_001_000);
    expect(share(2, 0).total).toBe(0);
  });

  it('counts as due exactly the messages whose time has come', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.5, max: 5_000, noNaN: true }),
        fc.nat(1_000_000),
        (intervalMicros, now) => {
          const schedule = { firstAtMicros: 1_000, intervalMicros, total: 500 };
          const count = dueCount(schedule, now);
          if (count > 0) expect(dueAt(schedule, count - 1)).toBeLessThanOrEqual(now);
          if (count < schedule.total) expect(dueAt(schedule, count) + 1).toBeGreaterThan(now);
        },
      ),
    );
  });

  it('sends every number once, in order, never early', async () => {
    const schedule = { firstAtMicros: clockMicros() + 2_000, intervalMicros: 20, total: 1_000 };
    const numbers: number[] = [];
    const sent = await runSchedule(schedule, clockMicros() + 5_000_000, (number, due, now) => {
      numbers.push(number);
      expect(now).toBeGreaterThanOrEqual(due);
    });
    expect(sent).toBe(1_000);
    expect(numbers).toEqual(Array.from({ length: 1_000 }, (_, number) => number));
  });

  it('leaves out what it could not begin in time', async () => {
    const schedule = { firstAtMicros: clockMicros() + 60_000_000, intervalMicros: 1, total: 5 };
    expect(await runSchedule(schedule, clockMicros() - 1, () => undefined)).toBe(0);
  });
});

describe('reading /proc', () => {
  it('reads a stat line whose name holds blanks and parentheses', () => {
    const line = '4242 (my (odd) name) S 17 4242 1 0 -1 4194560 900 3 0 0 250 50 7 3 20 0 11 0 900 1 2 3';
    expect(parseStat(line)).toEqual({
      id: 4242,
      name: 'my (odd) name',
      parent: 17,
      ticks: 300,
      endedChildrenTicks: 10,
    });
  });

  it('reads kilobytes', () => {
    expect(parseKilobytes('Name: x\nVmRSS:\t  2048 kB\n', 'VmRSS')).toBe(2_097_152);
    expect(parseKilobytes('Name: x\n', 'VmRSS')).toBeUndefined();
  });
});
