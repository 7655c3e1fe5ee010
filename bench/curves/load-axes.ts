import type { Say } from '../load/measure.js';
import { parseOptions } from '../load/options.js';
import { runLoad } from '../load/run.js';

/** One point of a curve: what a message cost, and how long it took. */
export interface Point {
  readonly x: number;
  /** Microseconds of CPU for a message: all of the server's processes, and PostgreSQL's. */
  readonly serverMicros: number;
  readonly postgresMicros: number;
  /** The server's alone, by delivery. */
  readonly deliveryMicros: number;
  readonly p50: number;
  readonly p99: number;
  readonly rss: number;
  readonly passed: boolean;
}

export interface Axis {
  readonly name: string;
  readonly x: string;
  readonly xs: readonly number[];
  /** The load bench's own options at a point. */
  readonly options: (x: number) => readonly string[];
}

/** Deliveries a second are the same at every point of an axis, so that what differs is what the axis says. */
const DELIVERIES = 10_000;
const ROOM_SIZE = 10;

export const AXES: readonly Axis[] = [
  {
    name: 'connections',
    x: 'sockets',
    xs: [1_000, 4_000, 10_000, 19_000],
    options: (x) => [
      '--connections',
      `${x}`,
      '--rooms',
      `${x / ROOM_SIZE}`,
      '--rate',
      `${DELIVERIES / ROOM_SIZE}`,
    ],
  },
  {
    name: 'room-size',
    x: 'members of a room',
    xs: [2, 10, 100, 1_000, 10_000],
    options: (x) => {
      const sockets = Math.max(1_000, x);
      return ['--connections', `${sockets}`, '--rooms', `${sockets / x}`, '--rate', `${DELIVERIES / x}`];
    },
  },
  {
    name: 'nodes',
    x: 'processes on two cores',
    xs: [1, 2, 3, 4],
    options: (x) => [
      '--connections',
      '1000',
      '--rooms',
      '100',
      '--rate',
      '1000',
      '--server-processes',
      `${x}`,
    ],
  },
];

export async function measurePoint(axis: Axis, x: number, seconds: number, say: Say): Promise<Point> {
  say(`${axis.name}: ${x} ${axis.x}`);
  const argv = [...axis.options(x), '--seconds', `${seconds}`, '--connect-rate', '2000', '--results', 'none'];
  const options = parseOptions(argv);
  if (options === undefined) throw new Error('no options');
  const { result } = await runLoad(options, say);
  const { usage, rates, delivery } = result;
  const micros = (cores: number | undefined, perSecond: number) => ((cores ?? Number.NaN) * 1e6) / perSecond;
  return {
    x,
    serverMicros: micros(usage.server?.cores, rates.acked),
    postgresMicros: micros(usage.postgres?.cores, rates.acked),
    deliveryMicros: micros(usage.server?.cores, rates.delivered),
    p50: delivery.p50,
    p99: delivery.p99,
    rss: usage.server?.maxRss ?? Number.NaN,
    passed: result.verdict === 'passed',
  };
}
