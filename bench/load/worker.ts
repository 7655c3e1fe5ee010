/**
 * A loader process: opens its sockets, sends its share of the schedule, checks what arrives.
 *
 *   plan ► opens sockets ► `ready` ► start ► sends, waits for acks ► `sent` ► finish ► waits for deliveries, judges ► `report`
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createChecker, type RoomHead, type RoomLedger } from './checker.js';
import { clockMicros, sleep } from './clock.js';
import { createMessageWriter } from './message-writer.js';
import type { FromLoader, LoaderPlan, LoaderReport, ToLoader } from './messages.js';
import { createMeter, type Meter } from './meter.js';
import { dueAt, runSchedule, type Schedule, shareSchedule } from './schedule.js';
import { createSendBook, type SendBook } from './send-book.js';
import { openSession, type Session, type SessionHost } from './session.js';

/** How often a wait for the last acks or deliveries looks again. */
const POLL_MS = 20;

/** How often progress is told. */
const PROGRESS_MS = 1_000;

/** monitorEventLoopDelay's timer; it reports this much even for an idle loop, so it is taken off. */
const LOOP_DELAY_RESOLUTION_MS = 10;

/** Sockets of one loader that may be between connecting and joined: more only lengthens the accept queue. */
const MAX_OPENING = 256;

/** What is known once sending has started. */
interface Running {
  readonly schedule: Schedule;
  readonly meter: Meter;
  readonly book: SendBook;
}

function tell(message: FromLoader): void {
  process.send?.(message);
}

async function waitUntil(done: () => boolean, seconds: number): Promise<void> {
  const deadline = clockMicros() + seconds * 1_000_000;
  while (!done() && clockMicros() < deadline) await sleep(POLL_MS);
}

/** Opens the sockets at the planned rate. */
async function openSessions(plan: LoaderPlan, host: SessionHost): Promise<Session[]> {
  const started = clockMicros();
  const sessions: Session[] = [];
  let opening = 0;
  let failure: Error | undefined;
  for (const [count, socket] of plan.sockets.entries()) {
    const dueMicros = started + (count * 1_000_000) / plan.connectRate;
    while (clockMicros() < dueMicros || opening >= MAX_OPENING) await sleep(1);
    if (failure !== undefined) throw failure;
    opening += 1;
    openSession(host, socket)
      .then((session) => sessions.push(session))
      .catch((error: Error) => {
        failure ??= error;
      })
      .finally(() => {
        opening -= 1;
      });
  }
  while (opening > 0 && failure === undefined) await sleep(POLL_MS);
  if (failure !== undefined) throw failure;
  return sessions;
}

/** CPU and longest loop delay of this process between two calls. */
function watchProcess(): () => { cpuCores: number; maxLoopDelayMs: number } {
  const delay = monitorEventLoopDelay({ resolution: LOOP_DELAY_RESOLUTION_MS });
  delay.enable();
  const cpu = process.cpuUsage();
  const from = clockMicros();
  return () => {
    const used = process.cpuUsage(cpu);
    delay.disable();
    return {
      cpuCores: (used.user + used.system) / (clockMicros() - from),
      maxLoopDelayMs: Math.max(0, delay.max / 1e6 - LOOP_DELAY_RESOLUTION_MS),
    };
  };
}

function createLoader(plan: LoaderPlan) {
  const checker = createChecker();
  const ledgers: RoomLedger[] = [];
  const receiverCounts = { scanned: 0, parsed: 0 };
  const counts: SessionHost['counts'] = { resyncs: 0, errorCodes: {}, otherFrames: {} };
  let running: Running | undefined;
  let sessions: Session[] = [];
  let usage = { cpuCores: 0, maxLoopDelayMs: 0 };

  const host: SessionHost = {
    target: plan.target,
    rooms: plan.rooms,
    checker,
    receiverCounts,
    counts,
    ledgerOf(room) {
      const known = plan.rooms[room];
      if (known === undefined) throw new RangeError(`no room ${room} in the plan`);
      const ledger = ledgers[room] ?? checker.openLedger(known.id, known.headSeq);
      ledgers[room] = ledger;
      return ledger;
    },
    delivered: (frame) => running?.meter.delivered(frame.sentAtMicros, clockMicros()),
    acked(frame) {
      if (running === undefined || frame.idWorker !== plan.loader) return;
      if (!running.book.acked(frame.idTail, frame.seqNo, frame.rev)) return;
      running.meter.acked(dueAt(running.schedule, frame.idTail), clockMicros());
    },
    refused: (number) => running?.book.refused(number),
  };

  async function send(startMicros: number): Promise<void> {
    const schedule = shareSchedule(plan.share, startMicros);
    const fromMicros = startMicros + plan.warmupSeconds * 1_000_000;
    const toMicros = fromMicros + plan.measuredSeconds * 1_000_000;
    const book = createSendBook(plan.loader, schedule.total, checker);
    const meter = createMeter({ fromMicros, toMicros });
    running = { schedule, meter, book };
    const write = createMessageWriter(plan, sessions);
    const measured = sleep((fromMicros - clockMicros()) / 1_000).then(async () => {
      const stop = watchProcess();
      await sleep((toMicros - clockMicros()) / 1_000);
      usage = stop();
    });
    const sent = await runSchedule(schedule, toMicros + plan.drainSeconds * 1_000_000, (number, due, now) => {
      book.sent(number, write(number, due));
      meter.sent(due, now);
    });
    const unsent = schedule.total - sent;
    if (unsent > 0)
      checker.faults.add('unsent', () => `loader ${plan.loader} fell behind its schedule`, unsent);
    await measured;
    await waitUntil(() => book.outstanding() === 0, plan.drainSeconds);
  }

  async function finish(heads: readonly RoomHead[]): Promise<LoaderReport> {
    const streams = sessions.flatMap((session) => [...session.streams.values()]);
    const headed = streams.flatMap(({ room, stream }) => {
      const head = heads[room];
      return head === undefined ? [] : [{ stream, head }];
    });
    await waitUntil(
      () => headed.every(({ stream, head }) => checker.hasReached(stream, head)),
      plan.drainSeconds,
    );
    for (const { stream, head } of headed) checker.closeStream(stream, head);
    running?.book.close(ledgers, heads);
    for (const session of sessions) session.stop();
    const meter = running?.meter ?? createMeter({ fromMicros: 0, toMicros: 0 });
    const totals = running?.book.totals ?? { sent: 0, acked: 0, refused: 0 };
    return {
      loader: plan.loader,
      ...totals,
      sentInWindow: meter.inWindow.sent,
      ackedInWindow: meter.inWindow.acked,
      deliveredInWindow: meter.inWindow.delivered,
      checks: checker.counts,
      ...counts,
      ...receiverCounts,
      faults: checker.faults.summaries(),
      ...meter.encoded(),
      ...usage,
      rssBytes: process.memoryUsage.rss(),
    };
  }

  return {
    async connect(): Promise<void> {
      sessions = await openSessions(plan, host);
    },
    send,
    finish,
    progress: (): FromLoader => ({
      type: 'progress',
      sent: running?.book.totals.sent ?? 0,
      acked: running?.book.totals.acked ?? 0,
      deliveries: checker.counts.deliveries,
    }),
  };
}

let loader: ReturnType<typeof createLoader> | undefined;

async function handle(message: ToLoader): Promise<void> {
  switch (message.type) {
    case 'plan':
      loader = createLoader(message.plan);
      await loader.connect();
      tell({ type: 'ready' });
      break;
    case 'start': {
      const ticker = setInterval(() => loader !== undefined && tell(loader.progress()), PROGRESS_MS);
      await loader?.send(message.startMicros);
      clearInterval(ticker);
      tell({ type: 'sent' });
      break;
    }
    case 'finish': {
      const report = await loader?.finish(message.heads);
      if (report === undefined) throw new Error('`finish` came before `plan`');
      const last: FromLoader = { type: 'report', report };
      // Only when the report is out may the channel, and with it the process, end.
      process.send?.(last, () => process.disconnect());
      break;
    }
    default:
      message satisfies never;
  }
}

process.on('message', (message: ToLoader) => {
  handle(message).catch((error: unknown) => {
    tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });
  });
});
// Without the main process there is nobody to report to.
process.on('disconnect', () => process.exit(0));
