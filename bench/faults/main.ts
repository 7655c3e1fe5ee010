/**
 * Two nodes under load with a fault every while: `node dist/bench/faults/main.js --minutes 10`. Ends with what was sent,
 * acknowledged and delivered, and what was lost, repeated or out of order. Exit codes: 0 nothing was, 1 something was, 2 the run
 * couldn't be made, 64 a mistake on the command line.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { DEFAULT_LIMITS, type Verdict } from './check.js';
import { type Stage, startStage } from './nodes.js';
import { startWorld } from './world.js';

const EXIT_FAULTY = 1;
const EXIT_NO_RUN = 2;
const EXIT_USAGE = 64; // sysexits(3)
const LAST_QUIET_MS = 5_000;
// A node that is frozen can know of a removal only when it goes on: its two seconds come on top of I9's one.
const LIMITS = { ...DEFAULT_LIMITS, revokedMs: 3_500 };
const SHOWN = 20;

const FAULTS: readonly (readonly [name: string, cause: (stage: Stage, turn: number) => Promise<void>])[] = [
  ['a node killed with -9', (stage, turn) => stage.killNode(turn % 2)],
  ['Redis flushed', (stage) => stage.flushRedis()],
  ['PostgreSQL crashed', (stage) => stage.crashPostgres()],
  ['a node stopped and started', (stage, turn) => stage.rollNode(turn % 2)],
  ['Redis away for 10 s', (stage) => stage.restartRedis(10_000)],
  ['a node frozen for 2 s', (stage, turn) => stage.freezeNode(turn % 2, 2_000)],
];

interface Options {
  readonly minutes: number;
  readonly every: number;
  readonly clients: number;
  readonly rooms: number;
}

function readOptions(): Options {
  const number = (fallback: number) => ({ type: 'string', default: String(fallback) }) as const;
  const { values } = parseArgs({
    options: { minutes: number(10), every: number(20), clients: number(12), rooms: number(5) },
  });
  const options = Object.fromEntries(Object.entries(values).map(([name, text]) => [name, Number(text)]));
  if (Object.values(options).some((value) => !(value > 0)))
    throw new Error('Every option is a number above 0.');
  return options as unknown as Options;
}

function report(
  verdicts: readonly Verdict[],
  totals: { sent: number; acked: number; refused: number; delivered: number; connects: number },
) {
  const count = (...promises: string[]) =>
    verdicts.filter(({ promise }) => promises.some((each) => promise.startsWith(`${each} `))).length;
  const { sent, acked, refused, delivered, connects } = totals;
  console.log(
    `sent ${sent}  acked ${acked}  refused ${refused}  delivered ${delivered}  connections ${connects}  ` +
      `lost ${count('I1', 'I2', 'I6')}  repeated ${count('I3')}  misordered ${count('I5', 'I7')}  ` +
      `others ${count('I4', 'I8', 'I9', 'I10', 'I11', 'I12')}`,
  );
  for (const { promise, fault } of verdicts.slice(0, SHOWN)) console.log(`  ${promise}: ${fault}`);
}

async function run({ minutes, every, clients, rooms }: Options): Promise<void> {
  const stage = await startStage();
  try {
    const world = await startWorld({
      origins: stage.origins,
      clients,
      rooms,
      depth: 2,
      pauseMs: 40,
      limits: LIMITS,
    });
    const begun = performance.now();
    const left = () => begun + minutes * 60_000 - performance.now();
    for (let turn = 0; left() > every * 1_000; turn++) {
      await sleep(every * 1_000);
      const [name, cause] = FAULTS[turn % FAULTS.length] as (typeof FAULTS)[number];
      const { acked } = world.totals();
      console.log(`${((performance.now() - begun) / 1_000).toFixed(0)} s  acked ${acked}  now: ${name}`);
      await cause(stage, Math.floor(turn / FAULTS.length));
    }
    await sleep(Math.max(LAST_QUIET_MS, left()));
    const verdicts = await world.judge();
    report(verdicts, world.totals());
    if (verdicts.length > 0) process.exitCode = EXIT_FAULTY;
  } finally {
    await stage.close();
  }
}

try {
  const options = readOptions();
  await run(options).catch((error: unknown) => {
    console.error(error);
    process.exitCode = EXIT_NO_RUN;
  });
} catch (error) {
  console.error(String(error));
  process.exitCode = EXIT_USAGE;
}
process.exit();
