import { Refusal } from '../protocol/errors.js';
import type { RoomId } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';
import type { ChangeKind, ChangeOrders, KnownMessage, MessageLog, MessageTarget } from './ports.js';
import type { Decision } from './rules.js';
import type { SendOrder } from './send-order.js';

/** The changes that wait for the group commit, and what is looked up for a batch before it is committed. */
export const BATCH_MAX = 256; // messages in one statement: beyond it the statement grows slower than it saves
const BATCH_BYTES_MAX = 1024 * 1024; // of content in one statement

/** What became of an insert: its message, or the message that had its id before. */
export type SendOutcome = { readonly sent: Message } | { readonly exists: KnownMessage };

/** A change that was made, or found nothing to change. */
export interface Changed {
  readonly message: Message;
  /** The rev of this change; where nothing changed, of the message's last one. */
  readonly rev: number;
}

export type Job = SendJob | { [Kind in ChangeKind]: ChangeJob<Kind> }[ChangeKind];
export interface SendJob extends Ends<SendOutcome> {
  readonly kind: 'send';
  readonly order: SendOrder;
}
export interface ChangeJob<Kind extends ChangeKind> extends Ends<Changed> {
  readonly kind: Kind;
  readonly order: ChangeOrders[Kind];
  readonly decide: Decide;
}
/** How long a job has waited; once expired it is answered and no more begun. */
export interface Clock {
  readonly queuedAt: number;
  expired: boolean;
}
export interface Ends<T> {
  readonly clock: Clock;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** Whether a change may be made to the message it is aimed at. Asked in the room's order of changes. */
export type Decide = (target: MessageTarget) => Decision;

/** Drops the jobs that are answered already. */
export function dropExpired(queues: Map<RoomId, Job[]>): void {
  for (const [room_id, queue] of [...queues]) {
    const left = queue.filter((job) => !job.clock.expired);
    if (left.length === 0) queues.delete(room_id);
    else if (left.length < queue.length) queues.set(room_id, left);
  }
}

/** What goes together: of each room jobs of one kind. */
export interface Batch {
  readonly rooms: Set<RoomId>;
  readonly sends: SendJob[];
  readonly changes: { readonly [Kind in ChangeKind]: ChangeJob<Kind>[] };
}

function emptyBatch(): Batch {
  const changes = {
    edit: [],
    delete: [],
    addReaction: [],
    removeReaction: [],
    pin: [],
    unpin: [],
    detach: [],
  };
  return { rooms: new Set(), sends: [], changes };
}

/** How many jobs the queues hold. */
export function jobsIn(queues: ReadonlyMap<RoomId, readonly Job[]>): number {
  let jobs = 0;
  for (const queue of queues.values()) jobs += queue.length;
  return jobs;
}

/**
 * Takes a batch off the queues: of each room the jobs at its head that are of one kind.
 * @param busy rooms to leave alone
 */
export function takeBatch(queues: Map<RoomId, Job[]>, busy: ReadonlySet<RoomId>): Batch {
  const batch = emptyBatch();
  let room = BATCH_MAX;
  let bytes = BATCH_BYTES_MAX;
  // A copy: what is left of a queue goes back into the map, and must not be met again in this batch.
  for (const [room_id, queue] of [...queues]) {
    if (room <= 0 || bytes <= 0) break;
    if (busy.has(room_id)) continue;
    queues.delete(room_id);
    const kind = queue.find((job) => !job.clock.expired)?.kind;
    const touched = new Set<string | null>();
    let taken = 0;
    for (const job of queue) {
      if (job.clock.expired) {
        taken++;
        continue;
      }
      if (job.kind !== kind || room <= 0 || bytes <= 0 || dependsOn(job, touched)) break;
      touched.add(subjectOf(job));
      put(batch, job);
      batch.rooms.add(room_id);
      if ('content' in job.order) bytes -= job.order.content.length;
      room--;
      taken++;
    }
    if (taken < queue.length) queues.set(room_id, queue.slice(taken)); // to the end: rooms take turns
  }
  return batch;
}

/** What a job changes: jobs of one kind with different subjects can be done in one statement. */
function subjectOf({ order }: Job): string {
  return 'emoji' in order ? `${order.id}${order.user_id}${order.emoji}` : order.id;
}

/** Whether a job has to wait for one that is in the batch already. */
function dependsOn(job: Job, touched: ReadonlySet<string | null>): boolean {
  // What a message answers has to be committed before it.
  if (job.kind === 'send') return touched.has(job.order.reply_to) || touched.has(job.order.thread_root);
  return touched.has(subjectOf(job));
}

function put({ sends, changes }: Batch, job: Job): void {
  if (job.kind === 'send') sends.push(job);
  else (changes[job.kind] as Job[]).push(job);
}

/** Keeps the changes that may be made, refuses the rest. */
export async function decideAll<Kind extends ChangeKind>(
  log: Pick<MessageLog, 'targets'>,
  jobs: readonly ChangeJob<Kind>[],
): Promise<ChangeJob<Kind>[]> {
  const ids = [...new Set(jobs.map((job) => job.order.id))];
  const targets = new Map((await log.targets(ids)).map((found) => [found.id, found]));
  return jobs.filter(({ order, decide, reject }) => {
    const target = targets.get(order.id);
    const decision = target === undefined || target.room_id !== order.room_id ? 'not_found' : decide(target);
    if (decision !== null) reject(new Refusal(decision));
    return decision === null;
  });
}

/** Turns the names in messages into the ids of the room's members who bear them at this time. */
export async function resolveMentions(log: MessageLog, jobs: readonly SendJob[]): Promise<void> {
  const wanted = jobs.flatMap(({ order }) => order.named.map((name) => ({ room_id: order.room_id, name })));
  if (wanted.length === 0) return;
  const members = new Map(
    (await log.members(wanted)).map((found) => [`${found.room_id}${found.name}`, found]),
  );
  for (const { order } of jobs) {
    order.mentions = order.named.flatMap((name) => members.get(`${order.room_id}${name}`)?.user_id ?? []);
  }
}

/** What a message claims must be its sender's, of its room, and claimed by no other. Asks only where there is any. */
export async function resolveAttachments(
  log: Pick<MessageLog, 'claimable'>,
  jobs: readonly SendJob[],
): Promise<readonly SendJob[]> {
  const wanted = jobs.flatMap(({ order }) => order.attachment_ids ?? []);
  if (wanted.length === 0) return jobs;
  const found = new Map((await log.claimable(wanted)).map((each) => [each.id, each]));
  return jobs.filter(({ order, reject }) => {
    const { id, room_id, user_id, attachment_ids = [] } = order;
    const claims = attachment_ids.flatMap((attachment) => found.get(attachment) ?? []);
    const free = claims.filter(
      (each) =>
        each.room_id === room_id &&
        each.user_id === user_id &&
        (each.message_id === null || each.message_id === id),
    );
    if (free.length < attachment_ids.length) {
      reject(new Refusal('not_found', { field: 'attachment_ids' }));
      return false;
    }
    if (free.length > 0)
      order.attachments = free.map(({ attachment }) => ({ ...attachment, message_id: id }));
    return true;
  });
}

/** What a message answers or stands under must be in its room (a tombstone may be). */
export async function refuseBadReferences(log: MessageLog, jobs: readonly SendJob[]) {
  const wanted = jobs.flatMap(({ order }) => [order.reply_to, order.thread_root].filter((id) => id !== null));
  if (wanted.length === 0) return jobs;
  const targets = new Map((await log.targets(wanted)).map((target) => [target.id, target.room_id]));
  return jobs.filter(({ order, reject }) => {
    const bad = (['reply_to', 'thread_root'] as const).find((field) => {
      const id = order[field];
      return id !== null && targets.get(id) !== order.room_id;
    });
    if (bad !== undefined) reject(new Refusal('not_found', { field: bad }));
    return bad === undefined;
  });
}
