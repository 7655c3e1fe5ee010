import { deferred } from '../lib/deferred.js';
import { Refusal } from '../protocol/errors.js';
import type { RoomId } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';
import { LOG_CHANGES, type LogEvent } from './events.js';
import { WRITE_DEADLINE_MS } from './in-time.js';
import { BadRow, DuplicateIds, LogUnavailable } from './log-errors-port.js';
import type {
  ChangeKind,
  ChangeOrders,
  ChangeOutcome,
  Changes,
  KnownMessage,
  MessageLog,
  RoomBase,
} from './ports.js';
import { isSameSend, messageOf, type SendOrder } from './send-order.js';
import {
  BATCH_MAX,
  type Changed,
  type ChangeJob,
  type Clock,
  type Decide,
  decideAll,
  dropExpired,
  type Ends,
  type Job,
  jobsIn,
  refuseBadReferences,
  resolveAttachments,
  resolveMentions,
  type SendJob,
  type SendOutcome,
  takeBatch,
} from './write-jobs.js';

/**
 * The group commit. All changes wait here in one queue a room; a cycle takes from the head of every room's
 * queue what is of one kind, commits it (one statement a kind), and the next cycle begins as soon as the one
 * before returned. Where many wait, a second cycle takes those of other rooms meanwhile. So a room's changes are
 * committed in the order they came, and nothing waits on a timer.
 *
 *   queued ──cycle──► in a statement ──committed──► settled (events first, then the answers)
 *                          │ id exists: answered with its first result, the rest runs again
 *                          │ value refused: bisected until the culprit fails alone
 *                          └ database away: tried again until 2 s old, then `unavailable`
 */
const SWEEP_MS = 200; // how much later than the deadline the answer may come
const RETRY_PAUSE_MS = 50; // between attempts while the database is away
/** Statements under way at once: the database works on one while the other is made or told of. Rooms don't share. */
const LANES_MAX = 2;
const LANE_AT = BATCH_MAX; // changes that wait: fewer cost less in the next statement than in one of their own
const FULL = 'There are as many as there can be; take one away first.';

export interface BatchWriter {
  /** Rejects with a Refusal; resolves once committed. */
  send(order: SendOrder): Promise<SendOutcome>;
  /**
   * Changes a message. Rejects with a Refusal: the decision's, `not_found` for what isn't in the room (any more),
   * `conflict` where the message or room has as many as it can have.
   */
  change<Kind extends ChangeKind>(kind: Kind, order: ChangeOrders[Kind], decide: Decide): Promise<Changed>;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
  close(): void;
  /** Changes that wait or are being committed. */
  readonly waiting: () => number;
}

export type BatchKind = 'send' | ChangeKind;

/** Hears of every committed batch: its kind and size, the seconds of its statement, and those its jobs had waited. */
export type ObserveBatch = (kind: BatchKind, size: number, seconds: number, waits: readonly number[]) => void;

/**
 * @param committed hears of every committed change before whoever asked for it; in a room's order
 * @param report hears of errors nobody expects
 */
export function createBatchWriter(
  log: MessageLog,
  committed: (events: readonly LogEvent[]) => void,
  report: (error: unknown) => void,
  observe: ObserveBatch = () => {},
): BatchWriter {
  const queues = new Map<RoomId, Job[]>();
  const waiting = new Map<Clock, (error: unknown) => void>(); // oldest first
  /** Rooms with changes in a statement: what comes for them waits for its end. */
  const busy = new Set<RoomId>();
  let unbegun = 0; // changes in the queues
  let lanes = 0; // cycles that run
  let gathering = false; // one of them hasn't taken its first batch yet
  const idlers: (() => void)[] = [];

  /** Also answers those whose statement hangs: their outcome is unknown, and asking again is safe. */
  const sweep = setInterval(() => {
    const oldest = performance.now() - WRITE_DEADLINE_MS;
    let expired = false;
    for (const [clock, reject] of waiting) {
      if (clock.queuedAt > oldest) break;
      clock.expired = true;
      expired = true;
      reject(new Refusal('unavailable'));
    }
    // A statement that hangs must not let the queues behind it grow: what is answered is dropped.
    if (expired) dropExpired(queues);
  }, SWEEP_MS);
  sweep.unref();

  function enqueue(job: Job): void {
    const queue = queues.get(job.order.room_id);
    if (queue === undefined) queues.set(job.order.room_id, [job]);
    else queue.push(job);
    unbegun++;
    if (lanes === 0 || (lanes < LANES_MAX && unbegun >= LANE_AT && !gathering)) void run();
  }

  async function run(): Promise<void> {
    lanes++;
    gathering = true;
    await Promise.resolve(); // what arrives in this turn goes together
    gathering = false;
    // A lane beside another ends when so little waits that the other may take it.
    while (lanes === 1 || unbegun >= LANE_AT) {
      const { rooms, sends, changes } = takeBatch(queues, busy);
      unbegun = jobsIn(queues);
      if (rooms.size === 0) break;
      for (const room_id of rooms) busy.add(room_id);
      const results = await Promise.allSettled([
        commitSends(sends),
        commitChanges('edit', changes.edit),
        commitChanges('delete', changes.delete),
        commitChanges('addReaction', changes.addReaction),
        commitChanges('removeReaction', changes.removeReaction),
        commitChanges('pin', changes.pin),
        commitChanges('unpin', changes.unpin),
        commitChanges('detach', changes.detach),
      ]);
      for (const result of results) if (result.status === 'rejected') report(result.reason);
      for (const room_id of rooms) busy.delete(room_id);
    }
    if (--lanes === 0) for (const resolve of idlers.splice(0)) resolve();
  }

  async function commitSends(jobs: readonly SendJob[]): Promise<void> {
    if (jobs.length === 0) return;
    let checked = jobs;
    try {
      checked = await resolveAttachments(log, await refuseBadReferences(log, jobs));
      await resolveMentions(log, checked);
    } catch (error) {
      return failAll(jobs, error, report);
    }
    await insert(checked, false);
  }

  /** `again`: an earlier attempt's outcome is unknown, so what exists may be its work. */
  async function insert(jobs: readonly SendJob[], again: boolean): Promise<void> {
    if (jobs.length === 0) return;
    const at = new Date();
    const begun = performance.now();
    try {
      const bases = await log.insert(
        jobs.map((job) => job.order),
        at,
      );
      settleInserted(jobs, bases, at);
      observed('send', jobs, begun);
    } catch (error) {
      if (error instanceof LogUnavailable) return retryInsert(jobs);
      if (error instanceof DuplicateIds) return insertTheNew(jobs, again);
      if (jobs.length === 1)
        return failAll(jobs, error instanceof BadRow ? new Refusal('bad_request') : error, report);
      const middle = jobs.length >> 1;
      await insert(jobs.slice(0, middle), again);
      await insert(jobs.slice(middle), again);
    }
  }

  async function retryInsert(jobs: readonly SendJob[]): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
    await insert(
      jobs.filter((job) => !job.clock.expired),
      true,
    );
  }

  async function insertTheNew(jobs: readonly SendJob[], again: boolean): Promise<void> {
    let known: KnownMessage[];
    try {
      known = await log.known(jobs.map((job) => job.order.id));
    } catch (error) {
      return error instanceof LogUnavailable ? retryInsert(jobs) : failAll(jobs, error, report);
    }
    const byId = new Map(known.map((message) => [message.id, message]));
    const fresh = jobs.filter((job) => !byId.has(job.order.id));
    if (fresh.length === jobs.length) return failAll(jobs, new Error('a duplicate that is nowhere'), report);
    for (const job of jobs) {
      const exists = byId.get(job.order.id);
      if (exists === undefined) continue;
      if (!isSameSend(exists, job.order)) {
        job.resolve({ exists });
        continue;
      }
      // Its first attempt's outcome may have been unknown: then nobody has told of it. Who has heard of it drops it.
      const message = messageOf(job.order, exists.seq_no, exists.rev, exists.created_at);
      committed([eventOf(message)]);
      job.resolve(again ? { sent: message } : { exists });
    }
    await insert(fresh, again);
  }

  function settleInserted(jobs: readonly SendJob[], bases: Map<RoomId, RoomBase>, at: Date): void {
    const createdAt = at.toISOString();
    const ordinals = new Map<RoomId, number>();
    const done: { job: SendJob; message: Message }[] = [];
    for (const job of jobs) {
      const base = bases.get(job.order.room_id);
      if (base === undefined) {
        job.reject(new Refusal('not_found'));
        continue;
      }
      const ord = (ordinals.get(job.order.room_id) ?? 0) + 1;
      ordinals.set(job.order.room_id, ord);
      done.push({ job, message: messageOf(job.order, base.seq + ord, base.rev + ord, createdAt) });
    }
    committed(done.map(({ message }) => eventOf(message)));
    for (const { job, message } of done) job.resolve({ sent: message });
  }

  /** An ambiguous attempt is answered `unavailable`; asking again changes nothing twice. */
  async function commitChanges<Kind extends ChangeKind>(
    kind: Kind,
    asked: readonly ChangeJob<Kind>[],
  ): Promise<void> {
    if (asked.length === 0) return;
    const changes: Changes = log;
    let jobs = asked;
    try {
      jobs = await decideAll(log, asked);
      if (jobs.length === 0) return;
      const begun = performance.now();
      const outcomes = await changes[kind](
        jobs.map((job) => job.order),
        new Date(),
      );
      observed(kind, jobs, begun);
      const changed = jobs.map((job, i) => ({ job, outcome: outcomes[i] ?? null }));
      committed(changed.flatMap(({ job, outcome }) => eventsOf(kind, job.order, outcome)));
      for (const { job, outcome } of changed) settleChange(job, outcome);
    } catch (error) {
      if (jobs.length === 1 || error instanceof LogUnavailable) return failAll(jobs, error, report);
      for (const job of jobs) await commitChanges(kind, [job]); // one bad order fails alone
    }
  }

  function observed(kind: BatchKind, jobs: readonly { readonly clock: Clock }[], begun: number): void {
    const waits = jobs.map(({ clock }) => (begun - clock.queuedAt) / 1_000);
    observe(kind, jobs.length, (performance.now() - begun) / 1_000, waits);
  }

  function queued<T>(make: (ends: Ends<T>) => Job): Promise<T> {
    const { promise, resolve, reject } = deferred<T>();
    const clock: Clock = { queuedAt: performance.now(), expired: false };
    const settled = () => waiting.delete(clock);
    waiting.set(clock, reject);
    promise.then(settled, settled);
    enqueue(make({ clock, resolve, reject }));
    return promise;
  }

  return {
    send: (order) => queued<SendOutcome>((ends) => ({ kind: 'send', order, ...ends })),
    change: (kind, order, decide) => queued<Changed>((ends) => ({ kind, order, decide, ...ends }) as Job),
    async idle() {
      while (lanes > 0) await new Promise<void>((resolve) => idlers.push(resolve));
    },
    close: () => clearInterval(sweep),
    waiting: () => waiting.size,
  };
}

function failAll(
  jobs: readonly { reject: (error: unknown) => void }[],
  error: unknown,
  report: (error: unknown) => void,
): void {
  const known = error instanceof Refusal || error instanceof LogUnavailable;
  if (!known) report(error);
  for (const job of jobs) job.reject(error);
}

function settleChange({ resolve, reject }: Ends<Changed>, outcome: ChangeOutcome): void {
  if (outcome === null) reject(new Refusal('not_found'));
  else if (outcome === 'full') reject(new Refusal('conflict', { sentence: FULL }));
  else resolve({ message: outcome.message, rev: outcome.rev ?? outcome.message.rev });
}

/** The event of a change, if it changed something. */
function eventsOf<Kind extends ChangeKind>(
  kind: Kind,
  order: ChangeOrders[Kind],
  outcome: ChangeOutcome,
): LogEvent[] {
  if (outcome === null || outcome === 'full' || outcome.rev === null) return [];
  const { message, rev, count } = outcome;
  return [{ room_id: order.room_id, rev, message, ...LOG_CHANGES[kind](order, count) }];
}

function eventOf(message: Message): LogEvent {
  return { room_id: message.room_id as RoomId, rev: message.rev, type: 'new_message', message };
}
