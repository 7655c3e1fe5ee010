import type { Config } from '../config.js';
import type { RouteName } from '../http/routes.js';
import type { Fact } from '../protocol/facts.js';
import type { ClientFrameType, Encoding, Ref } from '../protocol/frames.js';
import type { AttachmentId, RoomId, SessionId, UserId } from '../protocol/ids.js';
import type { Status, StatusChange } from '../protocol/signals.js';
import type { ThreadMetrics } from './process-messages.js';

/**
 * Every message between the front (main thread) and a shard (worker thread). Each direction is ordered.
 * Messages go in batches, one postMessage per turn of the event loop; a batch from a shard carries one slab
 * of bytes that its messages point into, so that encoded frames are copied once and never cloned one by one.
 *
 * Credit: every request (`frame`, `http`, `take`) holds one unit of the port's credit window until
 * the message with `done: true` (or `done`) for its `id`. A front without credit refuses with `overloaded` by itself.
 */

/** A byte range in the batch's slab: [offset, length]. */
export type Slice = readonly [offset: number, length: number];

/** Who makes a request, as the access token said and the session registry confirmed. */
export interface Caller {
  readonly user_id: UserId;
  readonly username: string;
  readonly sid: SessionId;
}

/** Given when the caller is over a limit: the shard answers repeats of known ids, and refuses the rest. */
export interface OverLimit {
  readonly retry_after_ms: number;
}

/** One take of a limit that is counted over all nodes, by user or by address. */
export type SharedTake = readonly [limit: 'rest' | 'auth' | 'upload', key: string];

export type ToShard =
  | {
      readonly t: 'frame';
      readonly id: number;
      /** The socket, by the front's number for it; never reused. */
      readonly conn: number;
      readonly caller: Caller;
      readonly enc: Encoding;
      readonly type: ClientFrameType;
      readonly room_id: RoomId | null;
      readonly ref: Ref | null;
      readonly payload: unknown;
      readonly over: OverLimit | null;
      /** When the front had it: epoch ms with fractions. */
      readonly at: number;
      /** Which of the socket's resumes it is a part of; null: of none. */
      readonly resume: number | null;
    }
  | {
      readonly t: 'http';
      readonly id: number;
      readonly route: RouteName;
      /** As the client gets it, for the log. */
      readonly request_id: string;
      readonly params: Readonly<Record<string, string>>;
      readonly query: unknown;
      readonly body: unknown;
      readonly caller: Caller | null;
      /** The client's, as limits go by it. */
      readonly address: string;
      readonly userAgent: string;
      /** Where the client has called the server, for links; '' where that isn't known. */
      readonly origin: string;
      readonly over: OverLimit | null;
      /** Sent on by another shard, which has counted it by the limits. */
      readonly counted?: true;
    }
  /** Counts takes of a request that goes to the transfer thread; answered by `taken`. */
  | { readonly t: 'take'; readonly id: number; readonly takes: readonly SharedTake[] }
  /** A subscription that a `subscribe` granted has ended: sent exactly once for every grant. */
  | { readonly t: 'release'; readonly room_id: RoomId; readonly enc: Encoding }
  /** After a shard's restart: the subscriptions that stand, and the last rev that was published. */
  | { readonly t: 'restore'; readonly rooms: readonly StandingSubscription[] }
  /**
   * Users whose presence has changed, to every shard; after a shard's restart all who aren't offline.
   * `seen_ms` (epoch): when each of `offline` was seen last. `gone`: without a socket, though still online.
   */
  | {
      readonly t: 'presence';
      readonly online: readonly UserId[];
      readonly away: readonly UserId[];
      readonly offline: readonly UserId[];
      readonly seen_ms: readonly number[];
      readonly gone: readonly UserId[];
    }
  /** What did these users choose to be shown as? Answered by `statuses`, or not at all: then asked again. */
  | { readonly t: 'read_statuses'; readonly user_ids: readonly UserId[] }
  | { readonly t: 'cpu_done'; readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly t: 'cpu_done'; readonly id: number; readonly ok: false; readonly overloaded: boolean }
  /** A change that every shard has to know of, sent on by the front from the shard that made it. */
  | { readonly t: 'notice'; readonly notice: Notice }
  /** What the watch over the database found, to each shard what concerns its rooms or every room. */
  | {
      readonly t: 'standings_changed';
      /** `tell`: sockets of this process would hear of it, and haven't. */
      readonly changes: readonly (StandingChange & { readonly tell: boolean })[];
    }
  /** Tells other nodes of this node's presence, by the bus: what `presence_heard` brings them. */
  | { readonly t: 'presence_told'; readonly partition: number; readonly news: PresenceNews }
  /** Asks for the thread's figures. */
  | { readonly t: 'metrics'; readonly id: number }
  | { readonly t: 'log_level'; readonly level: string }
  /** Breaks a promise from now on, as `crash`. */
  | { readonly t: 'mutate'; readonly mutation: Mutation }
  /** Throws in the thread: only sent when PARLEY_TEST_FAULTS allows faults to be caused. */
  | { readonly t: 'crash' }
  /** Finish what is under way, then answer `drained`. */
  | { readonly t: 'drain' };

/** `ended_ms`: epoch milliseconds. */
export interface EndedSession {
  readonly sid: SessionId;
  readonly user_id: UserId;
  readonly ended_ms: number;
}

export interface StandingSubscription {
  readonly room_id: RoomId;
  readonly rev: number;
  readonly json: number;
  readonly msgpack: number;
}

/** A subscription given to a socket: the room's topic stands at `rev`, and it has so many members. */
export interface Grant {
  readonly room_id: RoomId;
  readonly rev: number;
  readonly members: number;
  /** When the user's membership began, epoch ms by the database's clock. */
  readonly joined_ms: number;
}

/**
 * Somebody's (null: everybody's) role, mute, slow mode or membership in a room changed; without a room, an account.
 * `ended`: nothing of what was granted before `at_ms` (as Grant.joined_ms) holds any more.
 */
export interface StandingChange {
  readonly room_id: RoomId | null;
  readonly user_id: UserId | null;
  readonly ended: boolean;
  readonly at_ms: number;
  /** What it is about: a membership, a role or mute, a room; null: an account. */
  readonly kind: 'gone' | 'added' | 'changed' | 'room' | null;
  /** When the membership began, as its {@link Fact} names it; null for an account that was deleted. */
  readonly joined_at: string | null;
  /** How somebody went, or came: `founded` with the room. */
  readonly how: 'removed' | 'banned' | 'left' | 'added' | 'joined' | 'founded' | null;
  /** Of him who has gone. */
  readonly username: string | null;
}

/** From where nobody may come: an address, or a CIDR range. `until_ms`: epoch ms, null for ever. */
export interface AddressBlock {
  readonly network: string;
  readonly until_ms: number | null;
}

/** What other shards of the process must hear of. */
export interface Notice {
  readonly kind: 'user_changed';
  readonly user_id: UserId;
}

/** A user as another node has him: with what he chose to be shown as (null: not read yet), and rooms he is in. */
export type PresentElsewhere = readonly [
  user_id: UserId,
  username: string,
  chosen: Status | null,
  rooms: readonly RoomId[],
];

/**
 * What a node tells of presence. `here`: users with sockets, all or some of their rooms; a user who is told of no
 * more for some rounds is gone. `gone`: they have no socket there any more. `alive`: the node is, and tells of all its
 * users for the `round`th time; `bye`: it is leaving.
 */
export type PresenceNews =
  | { readonly kind: 'here'; readonly node: string; readonly users: readonly PresentElsewhere[] }
  | { readonly kind: 'gone'; readonly node: string; readonly user_ids: readonly UserId[] }
  | { readonly kind: 'alive'; readonly node: string; readonly round: number }
  | { readonly kind: 'bye'; readonly node: string };

/** How a shard can be made to break a promise, for tests of what notices. */
export type Mutation = 'drop_event' | 'repeat_event' | 'swap_events' | 'ack_before_commit' | 'keep_revoked';

/** CPU work that the front runs in its second Piscina pool for a shard. */
export type CpuTask =
  | { readonly op: 'hash_password'; readonly password: string }
  | { readonly op: 'verify_password'; readonly password: string; readonly hash: string }
  /** Answers a {@link Picture}; throws for what is no picture, or too large a one. */
  | { readonly op: 'make_thumbnail'; readonly bytes: Uint8Array };

/**
 * From a thread of the CPU pool to the pool, once, when it has started: the port over which its {@link ThreadFigures} come
 * every second, and which closes when the thread ends.
 */
export interface CpuThreadStarted {
  readonly t: 'cpu_thread';
  readonly port: import('node:worker_threads').MessagePort;
}

/** How busy, late and large a thread is. */
export interface ThreadFigures {
  /** Seconds that timers were late, at the median, the 99th percentile and the most: of the last 15 seconds the worst. */
  readonly late: readonly number[];
  /** Share of the last 15 seconds that the thread was busy, 0–1. */
  readonly utilization: number;
  /** Bytes of JavaScript heap in use. */
  readonly heapUsed: number;
}

/** What is seen of a picture, and a small WebP of it without metadata. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly thumbnail: Uint8Array;
}

export type ToFront =
  /** A frame for one socket. `done` ends the request `id`. */
  | {
      readonly t: 'reply';
      readonly id: number;
      readonly conn: number;
      readonly at: Slice;
      readonly done: boolean;
      /** Subscribe the socket to these rooms; their topics stand at `rev`. In force before `at` is sent. */
      readonly subscribe?: readonly Grant[];
      readonly unsubscribe?: RoomId;
      /** The answer refuses a send, or is `rate_limited`: counts towards flooding (close 4008). */
      readonly refused?: true;
      /** The answer is an `error`. */
      readonly failed?: true;
    }
  /** Ends the request `id`, which has no answer. */
  | { readonly t: 'done'; readonly id: number }
  | {
      readonly t: 'http';
      readonly id: number;
      readonly status: number;
      readonly at: Slice;
      readonly retryAfterMs?: number;
    }
  /** `wait_ms`: 0 where all takes are allowed. */
  | { readonly t: 'taken'; readonly id: number; readonly wait_ms: number }
  /** The request is for another shard: the one that owns this room. */
  | { readonly t: 'reroute'; readonly id: number; readonly room_id: RoomId }
  /** An event for a room's topics. `rev` is null for events outside the log. Only the sequencer sends one with a rev. */
  | {
      readonly t: 'publish';
      readonly room_id: RoomId;
      readonly rev: number | null;
      /** Of a new message: when its shard took it into a batch, epoch ms. */
      readonly created_ms?: number;
      readonly json: Slice | null;
      readonly msgpack: Slice | null;
      /** The event adds so many members to the room. */
      readonly members?: 1 | -1;
      /** Told once, whoever tells it. */
      readonly fact?: Fact;
    }
  /** A range of revs could not be rebuilt: the room's sockets are told to sync. */
  | { readonly t: 'resync'; readonly room_id: RoomId; readonly rev: number }
  /** An event for all sockets of one user. */
  | {
      readonly t: 'to_user';
      readonly user_id: UserId;
      readonly json: Slice;
      readonly msgpack: Slice;
      readonly fact?: Fact;
    }
  /** The user (null: nobody) may receive this room no more, except by a membership that began after `before_ms`. */
  | {
      readonly t: 'revoke';
      readonly room_id: RoomId;
      readonly user_id: UserId | null;
      readonly before_ms: number;
    }
  /** What the watch over the database found. */
  | { readonly t: 'standings_changed'; readonly changes: readonly StandingChange[] }
  /** All blocks, where they are others than before. */
  | { readonly t: 'blocks_changed'; readonly blocks: readonly AddressBlock[] }
  /** Presence on another node. */
  | { readonly t: 'presence_heard'; readonly news: PresenceNews }
  /** These sessions have ended; `watched` if it comes from the watch over the database, also when there is none. */
  | { readonly t: 'sessions_ended'; readonly ended: readonly EndedSession[]; readonly watched: boolean }
  | { readonly t: 'statuses'; readonly users: readonly StatusChange[] }
  /** A user has chosen how to be shown, and it is stored. */
  | { readonly t: 'status_chosen'; readonly user_id: UserId; readonly status: Status }
  /** A user has another name, and it is stored. */
  | { readonly t: 'renamed'; readonly user_id: UserId; readonly username: string }
  | { readonly t: 'notice'; readonly notice: Notice }
  | { readonly t: 'cpu'; readonly id: number; readonly task: CpuTask }
  | { readonly t: 'stats'; readonly stats: ShardStats }
  | { readonly t: 'metrics'; readonly id: number; readonly metrics: ThreadMetrics }
  | { readonly t: 'drained' };

/** What a shard reports once a second. */
export interface ShardStats {
  /** Share of the last second that the thread's event loop was busy, 0–1. */
  readonly utilization: number;
  readonly database_up: boolean;
  /** Null without Redis. */
  readonly redis_up: boolean | null;
  readonly bus_healthy: boolean;
}

export interface ShardBatch {
  /** When its first message was put into it: epoch ms with fractions. */
  readonly at: number;
  readonly messages: readonly ToFront[];
  readonly slab: ArrayBuffer | null;
}

/** What a shard thread is started with. */
export interface ShardStart {
  readonly shard: number;
  readonly config: Config;
  readonly databaseUrl: string;
  readonly jwtSecret: string;
  /** This process' number among those of the server. */
  readonly index: number;
  /** Names this process among all nodes; another one after a restart of the process. */
  readonly nodeId: string;
  /** As in ProcessStart. */
  readonly hubPath: string | null;
  readonly port: import('node:worker_threads').MessagePort;
}

/**
 * Between the front and the transfer thread, which moves attachments' bytes. Every exchange has an `id` and ends with
 * `answer`, or after `content` with the last `bytes` or `broken`. Bytes come only as the receiver has given credit
 * for them (in bytes), so that a slow disk or client holds up its own exchange alone. Those of uploads are transferred; those
 * of downloads lie in shared memory, which is written anew once their `pull` tells that they have gone to the socket.
 */
export type ToTransfer =
  | ({ readonly t: 'http' } & Omit<Extract<ToShard, { t: 'http' }>, 't'>)
  /** A form with a file: `chunk`s follow. `length` is the whole body's, null where it isn't said. */
  | {
      readonly t: 'upload';
      readonly id: number;
      readonly room_id: RoomId;
      readonly caller: Caller;
      readonly contentType: string;
      readonly length: number | null;
      readonly origin: string;
    }
  /** A file that a link to local storage allows to bring. */
  | { readonly t: 'put'; readonly id: number; readonly token: string; readonly length: number | null }
  | { readonly t: 'chunk'; readonly id: number; readonly bytes: Uint8Array; readonly last: boolean }
  | {
      readonly t: 'download';
      readonly id: number;
      readonly of:
        | { readonly attachment_id: AttachmentId; readonly caller: Caller }
        | { readonly token: string };
      /** HEAD: what a GET would say of the content, and no byte of it. */
      readonly head: boolean;
      /** Headers; '' where they aren't there. */
      readonly range: string;
      readonly ifRange: string;
      readonly ifNoneMatch: string;
    }
  /** Credit for so many bytes: a first one, and then one for each `bytes` that has gone to the socket. */
  | { readonly t: 'pull'; readonly id: number; readonly bytes: number }
  /** The client is gone, or has been answered: the exchange is over, nothing more is said of it. */
  | { readonly t: 'cancel'; readonly id: number }
  | Extract<ToShard, { t: 'cpu_done' | 'crash' | 'drain' | 'log_level' | 'metrics' }>;

export type FromTransfer =
  | {
      readonly t: 'answer';
      readonly id: number;
      readonly status: number;
      /** JSON. */
      readonly body: string;
      readonly headers?: readonly (readonly [name: string, value: string])[];
      readonly retryAfterMs?: number;
    }
  /** So many more bytes of chunks may come. */
  | { readonly t: 'credit'; readonly id: number; readonly bytes: number }
  | {
      readonly t: 'content';
      readonly id: number;
      readonly status: 200 | 206 | 304;
      readonly headers: readonly (readonly [name: string, value: string])[];
      /** Of the bytes that follow. */
      readonly length: number;
    }
  | { readonly t: 'bytes'; readonly id: number; readonly bytes: Uint8Array }
  /** No more bytes will come, though some were promised. */
  | { readonly t: 'broken'; readonly id: number }
  | { readonly t: 'transfer_stats'; readonly storage_up: boolean }
  | Extract<ToFront, { t: 'cpu' | 'drained' | 'metrics' }>;

/** What the transfer thread is started with. */
export type TransferStart = Pick<ShardStart, 'config' | 'databaseUrl' | 'jwtSecret' | 'index' | 'port'>;
