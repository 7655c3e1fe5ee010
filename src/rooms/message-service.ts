import * as crypto from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { Refusal } from '../protocol/errors.js';
import { type AttachmentId, type MessageId, newId, type RoomId, type UserId } from '../protocol/ids.js';
import type { Message } from '../protocol/model.js';
import { METADATA_MAX_BYTES, type SendBody } from '../protocol/requests.js';
import type { Admission } from './admission.js';
import type { BatchWriter } from './batch-writer.js';
import { inTime } from './in-time.js';
import type { KnownMessage, MessageLog, Standing } from './ports.js';
import {
  type Actor,
  canDeleteMessage,
  canEditMessage,
  canPin,
  canReact,
  canRead,
  canSend,
  canUnreact,
  type Decision,
  enforce,
  isSlowed,
} from './rules.js';
import { isSameSend, messageOf, type SendOrder } from './send-order.js';
import type { SlowMode } from './slow-mode.js';
import type { Changed, Decide, SendOutcome } from './write-jobs.js';

const RECENT_IDS_MAX = 20_000; // a few seconds at full rate: repeats come soon or after a reconnect

const MENTION = /(?<![A-Za-z0-9_-])@([A-Za-z0-9_-]{3,50})(?![A-Za-z0-9_-])/g; // a user name (PROTOCOL §1)
const MENTIONS_MAX = 50; // names looked up for one message

/** Who acts. The name, from the token, may be old: new messages take the one that admission knows. */
export interface Author {
  readonly user_id: UserId;
  readonly username: string;
}

/** What became of a send; for a repeat, the message as it was created. */
export interface SendResult {
  readonly message: Message;
  readonly duplicate: boolean;
}

export interface MessageService {
  /**
   * Sends a message, or answers a repeat of one with its first result, before limits, mutes and slow mode.
   * @param over milliseconds to wait where the sender is over a limit, else null
   * @throws Refusal
   */
  send(author: Author, room_id: RoomId, body: SendBody, over: number | null): Promise<SendResult>;
  /** @throws Refusal; `unavailable` leaves open whether it was done, and may be asked again */
  edit(author: Author, room_id: RoomId, id: MessageId, content: string): Promise<Changed>;
  delete(author: Author, room_id: RoomId, id: MessageId): Promise<Changed>;
  addReaction(author: Author, room_id: RoomId, id: MessageId, emoji: string): Promise<Changed>;
  removeReaction(author: Author, room_id: RoomId, id: MessageId, emoji: string): Promise<Changed>;
  pin(author: Author, room_id: RoomId, id: MessageId): Promise<Changed>;
  unpin(author: Author, room_id: RoomId, id: MessageId): Promise<Changed>;
  /** Takes a file off a message: as who may delete the message. */
  detach(author: Author, room_id: RoomId, id: MessageId, attachment_id: AttachmentId): Promise<Changed>;
  /** Refuses whoever may not read the room's messages. */
  checkReader(author: Author, room_id: RoomId): Promise<void>;
  /** Of the ids that clients gave: how many were known here, weren't, and how many are. */
  recent(): { readonly hits: number; readonly misses: number; readonly entries: number };
}

export function createMessageService(ports: {
  readonly log: Pick<MessageLog, 'known' | 'attachmentsOf'>;
  readonly admission: Admission;
  readonly writer: BatchWriter;
  readonly slowMode: SlowMode;
  /** A message goes to its batch; seconds since it came. */
  readonly admitted?: (seconds: number) => void;
}): MessageService {
  const { log, admission, writer, slowMode, admitted = () => undefined } = ports;
  const recent = new LRUCache<MessageId, KnownMessage>({ max: RECENT_IDS_MAX });
  const lookups = { hits: 0, misses: 0 };
  const underway = new Map<MessageId, { readonly order: SendOrder; readonly result: Promise<SendResult> }>();

  async function standingOf(room_id: RoomId, user_id: UserId): Promise<Standing> {
    const found = admission.of(room_id, user_id);
    const standing = found instanceof Promise ? await found : found;
    if (standing === null) throw new Refusal('not_found');
    return standing;
  }

  /** Somebody who may read the room. @throws Refusal to all others */
  async function reading(author: Author, room_id: RoomId): Promise<Actor> {
    const actor = { ...(await standingOf(room_id, author.user_id)), user_id: author.user_id };
    enforce(canRead(actor));
    return actor;
  }

  function repeatOf(known: KnownMessage, order: SendOrder): SendResult {
    if (!isSameSend(known, order)) throw new Refusal('id_conflict', { field: 'id' });
    const first = { ...order, mentions: known.mentions };
    return { message: messageOf(first, known.seq_no, known.rev, known.created_at), duplicate: true };
  }

  /**
   * The first result where the client's id is known; null for a message that is new as far as is known here.
   * At once where it can be, so that a sender's messages go on in their order.
   */
  function repeat(order: SendOrder): SendResult | Promise<SendResult> | null {
    const known = recent.get(order.id);
    if (known !== undefined) return repeatOf(known, order);
    const first = underway.get(order.id);
    if (first === undefined) return null;
    if (!isSameSend(first.order, order)) throw new Refusal('id_conflict', { field: 'id' });
    return first.result.then(({ message }) => ({ message, duplicate: true }));
  }

  /** The files of a message that was accepted before may have gone since: it is a repeat all the same. */
  async function writeOrKnow(order: SendOrder): Promise<SendOutcome> {
    try {
      return await writer.send(order);
    } catch (error) {
      const isAboutFiles = error instanceof Refusal && error.problem.field === 'attachment_ids';
      const exists = isAboutFiles ? await logged(order, true) : undefined;
      if (exists === undefined) throw error;
      return { exists };
    }
  }

  /** @param begun when it came, by `performance.now()` */
  async function write(order: SendOrder, begun: number): Promise<SendResult> {
    admitted((performance.now() - begun) / 1_000);
    const outcome = await writeOrKnow(order);
    if ('exists' in outcome) {
      recent.set(order.id, outcome.exists);
      return repeatOf(outcome.exists, order);
    }
    const message = outcome.sent;
    const { seq_no, rev, created_at } = message;
    const { id, room_id, user_id, body_hash, mentions } = order;
    recent.set(id, { id, room_id, user_id, body_hash, mentions, seq_no, rev, created_at });
    return { message, duplicate: false };
  }

  /** What the log knows of a client's id. */
  async function logged(order: SendOrder, hasOwnId: boolean): Promise<KnownMessage | undefined> {
    const known = hasOwnId ? (await inTime(log.known([order.id])))[0] : undefined;
    if (known !== undefined) recent.set(order.id, known);
    return known;
  }

  /** A refused send is refused only after making sure that it isn't the repeat of one that was accepted. */
  async function refuse(order: SendOrder, hasOwnId: boolean, refusal: Refusal): Promise<SendResult> {
    const known = await logged(order, hasOwnId);
    if (known === undefined || !isSameSend(known, order)) throw refusal;
    return repeatOf(known, order);
  }

  /** Slow mode is asked only for what isn't the repeat of something accepted: that would take a slot for nothing. */
  async function writeInSlot(
    order: SendOrder,
    hasOwnId: boolean,
    standing: Standing,
    begun: number,
  ): Promise<SendResult> {
    const known = await logged(order, hasOwnId);
    if (known !== undefined) return repeatOf(known, order);
    const { id: message_id, room_id, user_id } = order;
    const absent = () => new Refusal(canRead({ ...standing, role: null }) ?? 'not_a_member');
    return slowMode.run({ room_id, user_id, message_id }, absent, () => write(order, begun));
  }

  /** Over the limit nobody is told more than that, whatever else would be against it. */
  function refusalOf(decision: Decision, over: number | null): Refusal | null {
    if (over !== null) return new Refusal('rate_limited', { retryAfterMs: over });
    return decision === null ? null : new Refusal(decision);
  }

  /** A repeat's answer shows what is attached to the message now. */
  async function withAttachments(result: SendResult): Promise<SendResult> {
    if (!result.duplicate) return result;
    const attachments = await inTime(log.attachmentsOf(result.message.id as MessageId));
    return { ...result, message: { ...result.message, attachments } };
  }

  async function send(
    author: Author,
    room_id: RoomId,
    body: SendBody,
    over: number | null,
  ): Promise<SendResult> {
    const begun = performance.now();
    const order = orderOf(author, room_id, body);
    if (body.id !== undefined) {
      const first = repeat(order);
      if (first !== null) {
        lookups.hits++;
        return first;
      }
      lookups.misses++;
    }
    const found = admission.of(room_id, author.user_id);
    const standing = found instanceof Promise ? await inTime(found) : found;
    const decision: Decision = standing === null ? 'not_found' : canSend(standing, Date.now());
    const refusal = refusalOf(decision, over);
    if (refusal !== null || standing === null) {
      return refuse(order, body.id !== undefined, refusal ?? new Refusal('not_found'));
    }
    const second = repeat(order); // it may have come while the standing was read
    if (second !== null) return second;
    const named = { ...order, username: standing.username };
    const result = isSlowed(standing)
      ? writeInSlot(named, body.id !== undefined, standing, begun)
      : write(named, begun);
    if (body.id !== undefined) {
      underway.set(order.id, { order, result });
      const done = () => underway.delete(order.id);
      result.then(done, done);
    }
    return result;
  }

  return {
    send(author, room_id, body, over) {
      const sent = send(author, room_id, body, over);
      return body.attachment_ids?.length ? sent.then(withAttachments) : sent;
    },

    async edit(author, room_id, id, content) {
      const actor = await reading(author, room_id);
      const decide: Decide = (target) => canEditMessage(actor, target, Date.now());
      return writer.change('edit', { id, room_id, content }, decide);
    },

    async delete(author, room_id, id) {
      const actor = await reading(author, room_id);
      const order = { id, room_id, user_id: author.user_id };
      return writer.change('delete', order, (target) => canDeleteMessage(actor, target));
    },

    async addReaction(author, room_id, id, emoji) {
      const actor = await reading(author, room_id);
      const order = { id, room_id, user_id: author.user_id, emoji };
      return writer.change('addReaction', order, (target) => canReact(actor, target, Date.now()));
    },

    async removeReaction(author, room_id, id, emoji) {
      const actor = await reading(author, room_id);
      const order = { id, room_id, user_id: author.user_id, emoji };
      return writer.change('removeReaction', order, (target) => canUnreact(actor, target));
    },

    async pin(author, room_id, id) {
      const actor = await reading(author, room_id);
      const order = { id, room_id, user_id: author.user_id };
      return writer.change('pin', order, (target) => canPin(actor, target));
    },

    async unpin(author, room_id, id) {
      const actor = await reading(author, room_id);
      const order = { id, room_id, user_id: author.user_id };
      return writer.change('unpin', order, (target) => canPin(actor, target));
    },

    async detach(author, room_id, id, attachment_id) {
      const actor = await reading(author, room_id);
      const order = { id, room_id, user_id: author.user_id, attachment_ids: [attachment_id] };
      return writer.change('detach', order, (target) => canDeleteMessage(actor, target));
    },

    async checkReader(author, room_id) {
      enforce(canRead(await standingOf(room_id, author.user_id)));
    },

    recent: () => ({ ...lookups, entries: recent.size }),
  };
}

/** Checks what the schema can't, and prepares a message for the log. */
function orderOf(author: Author, room_id: RoomId, body: SendBody): SendOrder {
  if (body.content === '' && !body.attachment_ids?.length) {
    throw new Refusal('bad_request', { field: 'content', sentence: 'A message needs content.' });
  }
  const metadataValue = body.metadata ?? {};
  const metadata = Object.keys(metadataValue).length === 0 ? null : JSON.stringify(metadataValue);
  if (metadata !== null && Buffer.byteLength(metadata) > METADATA_MAX_BYTES) {
    throw new Refusal('bad_request', { field: 'metadata', sentence: 'metadata is at most 4 KB as JSON.' });
  }
  const attachment_ids = body.attachment_ids as AttachmentId[] | undefined;
  const hasAttachments = attachment_ids !== undefined && attachment_ids.length > 0;
  if (hasAttachments && new Set(attachment_ids).size < attachment_ids.length) {
    throw new Refusal('bad_request', { field: 'attachment_ids', sentence: 'An attachment is named twice.' });
  }
  const reply_to = (body.reply_to ?? null) as MessageId | null;
  const thread_root = (body.thread_root ?? null) as MessageId | null;
  return {
    id: (body.id ?? newId()) as MessageId,
    room_id,
    user_id: author.user_id,
    username: author.username,
    content: body.content,
    metadata,
    metadataValue,
    reply_to,
    thread_root,
    named: namesIn(body.content),
    mentions: [],
    body_hash: hashBody([
      body.content,
      reply_to,
      thread_root,
      metadata === null ? null : sorted(metadataValue),
      ...(hasAttachments ? [attachment_ids] : []),
    ]),
    ...(hasAttachments ? { attachment_ids } : {}),
  };
}

/** The names that a text mentions (`@name`), in lower case, each once. */
function namesIn(content: string): string[] {
  if (!content.includes('@')) return [];
  const names = Array.from(content.matchAll(MENTION), ([, name = '']) => name.toLowerCase());
  return [...new Set(names)].slice(0, MENTIONS_MAX);
}

/** SHA-256 of a body in one fixed form. In hex: thousands of buffers, each kept for seconds, are dear to collect. */
function hashBody(parts: readonly unknown[]): string {
  return crypto.hash('sha256', JSON.stringify(parts), 'hex');
}

/** The value with the members of every object in one order: encodings and retries may order them differently. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]));
}
