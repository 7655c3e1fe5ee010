/**
 * A loader process: opens its sockets, sends its share of the schedule, checks what arrives.
 *
 *   plan ► opens sockets ► `ready` ► start ► sends (and cuts), waits for acks ► `sent` ► finish ► waits for deliveries, judges ► `report`
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createChecker, type RoomHead, type RoomLedger } from './checker.js';
import { clockMicros, sleep } from './clock.js';
import { dialectOf } from './dialects.js';
import { disturb } from './disturbance.js';
import { SENDER_ITSELF } from './frame-scan.js';
import { createMessageWriter } from './message-writer.js';
import type { FromLoader, LoaderPlan, LoaderReport, ToLoader } from './messages.js';
import { createMeter, type Meter } from './meter.js';
import { dueAt, runSchedule, type Schedule, shareSchedule } from './schedule.js';
import { createSendBook, type SendBook } from './send-book.js';
import { openSession, type Session, type SessionHost } from './session.js';

/** How often a wait for the last acks or deliveries looks again. */
const POLL_MS = 20;

/** How often progress is told. */
const PROGRESS_MS = 500;

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

/** Opens the sockets at the planned rate into `sessions`. */
async function openSessions(plan: LoaderPlan, host: SessionHost, sessions: Session[]): Promise<void> {
  const started = clockMicros();
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
  const counts: SessionHost['counts'] = {
    reconnects: 0,
    failedReconnects: 0,
    refusedResumes: 0,
    errorCodes: {},
    otherFrames: {},
  };
  const sessions: Session[] = [];
  let resyncs = 0;
  let running: Running | undefined;
  let usage = { cpuCores: 0, maxLoopDelayMs: 0 };

  const host: SessionHost = {
    targets: plan.targets,
    dialect: dialectOf(plan.dialect),
    rooms: plan.rooms,
    checker,
    receiverCounts,
    comesBack: plan.cutsPerSecond > 0 || plan.storm || plan.sockets.some((socket) => socket.slow),
    counts,
    ledgerOf(room) {
      const known = plan.rooms[room];
      if (known === undefined) throw new RangeError(`no room ${room} in the plan`);
      const ledger = ledgers[room] ?? checker.openLedger(known.id, known.headSeq);
      ledgers[room] = ledger;
      return ledger;
    },
    delivered(frame, slow) {
      if (slow) running?.meter.late(frame.sentAtMicros, clockMicros());
      else running?.meter.delivered(frame.sentAtMicros, clockMicros());
    },
    recovered: (sentAtMicros) => running?.meter.late(sentAtMicros, clockMicros()),
    resyncCame() {
      resyncs += 1;
    },
    resumed: (micros) => running?.meter.resumed(micros),
    acked(frame) {
      if (running === undefined) return;
      if (frame.idWorker !== plan.loader && frame.idWorker !== SENDER_ITSELF) return;
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
    for (const session of sessions) if (session.isSlow) session.setReading(false);
    const measured = sleep((fromMicros - clockMicros()) / 1_000).then(async () => {
      const stop = watchProcess();
      await disturb(sessions, plan, toMicros);
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
    for (const session of sessions) if (session.isSlow) session.setReading(true);
    await waitUntil(() => book.outstanding() === 0, plan.drainSeconds);
  }

  async function finish(heads: readonly RoomHead[]): Promise<LoaderReport> {
    const streams = sessions.flatMap((session) => [...session.streams.values()]);
    const headed = streams.flatMap(({ room, stream }) => {
      const head = heads[room];
      return head === undefined ? [] : [{ stream, head }];
    });
    await waitUntil(
      () =>
        sessions.every((session) => session.isLive()) &&
        headed.every(({ stream, head }) => checker.hasReached(stream, head)),
      plan.drainSeconds,
    );
    for (const { stream, head } of headed) checker.closeStream(stream, head);
    const expected = headed.reduce(
      (sum, { stream, head }) => sum + head.headSeq - stream.ledger.firstSeq + 1,
      0,
    );
    const away = sessions.filter((session) => !session.isLive());
    if (away.length > 0 && host.comesBack) {
      checker.faults.add('not_resumed', () => `socket ${away[0]?.index} and others`, away.length);
    }
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
      expected,
      lost: checker.faults.summaries().find(({ kind }) => kind === 'lost')?.count ?? 0,
      resyncs,
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
      await openSessions(plan, host, sessions);
    },
    send,
    finish,
    progress: (): FromLoader => ({
      type: 'progress',
      joined: sessions.length,
      sent: running?.book.totals.sent ?? 0,
      acked: running?.book.totals.acked ?? 0,
      deliveries: checker.counts.deliveries,
    }),
  };
}

let loader: ReturnType<typeof createLoader> | undefined;

async function handle(message: ToLoader): Promise<void> {
  switch (message.type) {
    case 'plan': {
      const created = createLoader(message.plan);
      loader = created;
      setInterval(() => tell(created.progress()), PROGRESS_MS).unref();
      await created.connect();
      tell(created.progress());
      tell({ type: 'ready' });
      break;
    }
    case 'start':
      await loader?.send(message.startMicros);
      tell({ type: 'sent' });
      break;
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
