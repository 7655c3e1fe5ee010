import type { TemplatedApp, WebSocket } from 'uWebSockets.js';
import type { Config } from '../config.js';
import type { Caller } from '../ipc/messages.js';
import { secondsSince } from '../lib/wall-clock.js';
import type { Logger } from '../observability/logger.js';
import { CLOSE_CODES, type CloseReason, problem } from '../protocol/errors.js';
import {
  answer,
  BadFrame,
  type ClientFrame,
  Encoding,
  encodeFrame,
  errorFrame,
  parseFrame,
  type ServerFrame,
} from '../protocol/frames.js';
import { type RoomId, shardOf, type UserId } from '../protocol/ids.js';
import {
  type AuthenticatePayload,
  CONTENT_MAX_CODE_POINTS,
  METADATA_MAX_BYTES,
  RESUME_ROOMS_MAX,
  SYNC_LIMIT_MAX,
} from '../protocol/requests.js';
import type { AddressBlocks } from './address-blocks.js';
import type { AnswerPolicy } from './answer-policy.js';
import { limitKey } from './client-address.js';
import { countConnections } from './connection-counts.js';
import type { FrontMetrics, TokenCheck } from './ports.js';
import { startPresence } from './presence-signals.js';
import { createRequests } from './requests.js';
import type { Sessions } from './sessions.js';
import type { FrameReply, ShardEvents, ShardLinks } from './shard-links.js';
import { reaches, type Socket } from './socket.js';
import { createStandingNews } from './standing-news.js';
import { createTold } from './told.js';
import { createTopics } from './topics.js';
import { upgradeHandler } from './upgrade.js';

const AUTHENTICATE_WITHIN_MS = 5_000; // PROTOCOL §3
const PING_EVERY_MS = 54_000; // PROTOCOL §3, seed §7.2
const SILENT_S = 60; // PROTOCOL §3: a silent peer is dropped
const BAD_FRAMES = { limit: 5, windowMs: 10_000 }; // PROTOCOL §3, close 4002
const MAX_BACKPRESSURE_BYTES = 1024 * 1024; // what one slow reader may hold: four of the largest answers
const SLOW_READER_MS = 15_000; // after missing events: closed with 4009 when it hasn't drained by then
const SWEEP_MS = 1_000;
const ANONYMOUS_FRAME_MAX_BYTES = 16 * 1024; // an `authenticate` is smaller; nothing else is worth parsing
const BYE_SPREAD_MS = 5_000; // reconnects after a restart are spread over this time

/** What a ping of the WebSocket protocol counts as, or a pong: nobody need be sent an answer for it to cost time. */
const PING: ClientFrame = { type: 'ping', room_id: null, ref: null, payload: {} };

export interface Sockets {
  readonly events: ShardEvents;
  /** Serves the sockets of one more app. */
  attach(app: TemplatedApp): void;
  /** Says `bye` to all, with spread times to come back. Takes in nothing more. */
  bye(): void;
  /** Closes all with 1012. */
  closeAll(): void;
  counts(): { json: number; msgpack: number; topics: number; slow: number; present: number };
  readonly closes: Map<number, number>;
  readonly totals: Record<
    'opened' | 'framesIn' | 'framesOut' | 'badFrames' | 'published' | 'resyncs' | 'drops',
    number
  >;
}

/** The WebSocket side of the front (PROTOCOL §3). `links` is set before the first socket opens. */
export function createSockets(deps: {
  readonly config: Config;
  readonly links: () => ShardLinks;
  readonly sessions: () => Sessions;
  readonly metrics: FrontMetrics;
  readonly blocks: AddressBlocks;
  readonly policy: AnswerPolicy;
  readonly log: Logger;
  /** There are no other nodes. */
  readonly solo: boolean;
}): Sockets {
  const { config, log, metrics } = deps;
  /** Every app that has sockets: a new certificate makes a new one, and the old one keeps its own. */
  const apps: TemplatedApp[] = [];
  const { limits } = config;
  const sockets = new Map<number, Socket>();
  const byUser = new Map<UserId, Set<Socket>>();
  const counts = countConnections(limits.maxConnectionsPerIp);
  const topics = createTopics((topic, bytes, isBinary) => {
    for (const app of apps) app.publish(topic, bytes, isBinary);
  });
  const presence = startPresence(topics, deps.links, deps.solo);
  const requests = createRequests({ config, links: deps.links, limited: metrics.limited, send, close });
  const told = createTold();
  const standingNews = createStandingNews({
    told,
    toRoom(room_id, { json, msgpack }, members) {
      totals.framesOut += topics.publish(room_id, null, json, msgpack);
      if (members !== 0) presence.membersChanged(room_id, members);
    },
    toUser: sendToUser,
    revoke,
    isHeard(room_id) {
      const { json, msgpack } = topics.listeners(room_id);
      return json + msgpack > 0;
    },
    isHere: (user_id) => byUser.has(user_id),
  });
  const closes = new Map<number, number>();
  const totals = { opened: 0, framesIn: 0, framesOut: 0, badFrames: 0, published: 0, resyncs: 0, drops: 0 };
  let lastConn = 0;
  let leaving = false;

  function send(socket: Socket, frame: ServerFrame): void {
    sendBytes(socket, encodeFrame(socket.enc, frame));
  }

  /** A direct answer that is dropped can't be healed by a resync: the socket reads too slowly to be served. */
  function sendBytes(socket: Socket, bytes: string | Uint8Array): void {
    totals.framesOut++;
    const { ws } = socket;
    if (ws === null) return;
    // Corked, so that an answer and the events before it that still wait in the topics leave in one write.
    ws.cork(() => {
      if (ws.send(bytes, socket.enc === Encoding.msgpack) === 2) close(socket, 'slow_reader');
    });
  }

  function sendToUser(user_id: UserId, frames: Readonly<Record<Encoding, string | Uint8Array>>): void {
    for (const socket of byUser.get(user_id) ?? []) sendBytes(socket, frames[socket.enc]);
  }

  function close(socket: Socket, reason: CloseReason): void {
    socket.ws?.end(CLOSE_CODES[reason], reason);
  }

  function tooMany(address: string, check: TokenCheck | null): boolean {
    return check?.ok ? tooManyOf(check) : counts.tooMany(limitKey(address), true);
  }

  function tooManyOf(check: TokenCheck & { readonly ok: true }): boolean {
    if (limits.maxConnectionsPerUser === 0) return false;
    return (byUser.get(check.caller.user_id)?.size ?? 0) >= limits.maxConnectionsPerUser;
  }

  function authenticated(socket: Socket, caller: Caller, expiresAtMs: number): void {
    socket.caller = caller;
    socket.expiresAtMs = expiresAtMs;
    const { user_id, sid } = caller;
    const mine = byUser.get(user_id) ?? new Set();
    byUser.set(user_id, mine.add(socket));
    presence.connected(user_id, caller.username);
    const payload = {
      user_id,
      session_id: sid,
      server_time: new Date().toISOString(),
      heartbeat_s: PING_EVERY_MS / 1000,
      limits: {
        frame_bytes: limits.wsMaxFrameBytes,
        content_code_points: CONTENT_MAX_CODE_POINTS,
        metadata_bytes: METADATA_MAX_BYTES,
        sends_per_second: limits.wsSendsPerSecond,
        resume_rooms: RESUME_ROOMS_MAX,
        sync_limit: SYNC_LIMIT_MAX,
      },
    };
    send(socket, { type: 'welcome', payload, timestamp: Date.now() });
  }

  function authenticate(socket: Socket, frame: ClientFrame): void {
    if (!requests.admit(socket, frame)) return;
    const { token } = frame.payload as AuthenticatePayload;
    const check = deps.sessions().check(token);
    if (!check.ok) {
      if (check.code !== 'unavailable') return close(socket, 'bad_token');
      return send(socket, errorFrame(frame, 'unavailable'));
    }
    const renewed = socket.caller !== null;
    if (renewed && socket.caller?.user_id !== check.caller.user_id) return close(socket, 'bad_token');
    if (!renewed && tooManyOf(check)) {
      metrics.limited('connections');
      send(socket, errorFrame(frame, 'rate_limited'));
      return close(socket, 'flooding');
    }
    const { user_id, sid } = check.caller;
    send(socket, answer('authenticated', frame, { user_id, session_id: sid }));
    if (renewed) {
      socket.caller = check.caller;
      socket.expiresAtMs = check.expiresAtMs;
    } else {
      counts.identified(limitKey(socket.address));
      authenticated(socket, check.caller, check.expiresAtMs);
    }
  }

  function receive(socket: Socket, bytes: ArrayBuffer, isBinary: boolean): void {
    totals.framesIn++;
    if (socket.caller === null && bytes.byteLength > ANONYMOUS_FRAME_MAX_BYTES) {
      return close(socket, 'not_authenticated');
    }
    guarded(socket, () => handle(socket, parseFrame(socket.enc, isBinary, bytes)));
  }

  function guarded(socket: Socket, run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof BadFrame)) {
        log.error({ event: 'frame_error', conn: socket.conn, err: error });
        return send(socket, errorFrame({ ref: null }, 'internal'));
      }
      totals.badFrames++;
      send(socket, errorFrame({ ref: error.ref }, error));
      if (reaches(socket.bad, performance.now(), BAD_FRAMES.limit, BAD_FRAMES.windowMs)) {
        close(socket, 'bad_frames');
      }
    }
  }

  function handle(socket: Socket, frame: ClientFrame): void {
    if (frame.type === 'authenticate') return authenticate(socket, frame);
    const { caller } = socket;
    if (caller === null) return close(socket, 'not_authenticated');
    if (frame.type === 'ping') {
      if (requests.admit(socket, frame)) send(socket, answer('pong', frame, {}));
      return;
    }
    if (leaving) return send(socket, errorFrame(frame, 'unavailable'));
    requests.command(socket, frame, caller);
  }

  function unsubscribe(socket: Socket, room_id: RoomId): void {
    if (topics.unsubscribe(socket, room_id)) release(socket, room_id);
  }

  /** Ends subscriptions that stand on a membership from before `beforeMs`; somebody who came back keeps his. */
  function revoke(room_id: RoomId, user_id: UserId | null, beforeMs: number): void {
    let isBack = false;
    const whom = user_id === null ? topics.socketsOf(room_id) : [...(byUser.get(user_id) ?? [])];
    for (const socket of whom) {
      const joinedMs = topics.joinedMs(socket, room_id);
      if (joinedMs !== null && joinedMs > beforeMs) isBack = true;
      else unsubscribe(socket, room_id);
    }
    if (!isBack) presence.removed(room_id, user_id);
  }

  function release(socket: { readonly enc: Encoding }, room_id: RoomId): void {
    const links = deps.links();
    links.tell(shardOf(room_id, links.shards), { t: 'release', room_id, enc: socket.enc });
  }

  function sendResync(socket: Socket, rooms: Iterable<RoomId>): void {
    totals.resyncs++;
    const heads = [...rooms].map((room_id) => ({ room_id, head_rev: topics.revOf(room_id) }));
    send(socket, { type: 'resync', payload: { rooms: heads }, timestamp: Date.now() });
    for (const { room_id } of heads) presence.missed(room_id, socket);
  }

  function opened(ws: WebSocket<Socket>): void {
    const socket = ws.getUserData();
    socket.ws = ws;
    totals.opened++;
    sockets.set(socket.conn, socket);
    counts.opened(limitKey(socket.address), socket.caller === null);
    if (socket.rejected) return close(socket, 'bad_token');
    const { caller, expiresAtMs } = socket;
    if (caller !== null) authenticated(socket, caller, expiresAtMs);
  }

  function closed(ws: WebSocket<Socket>, code: number): void {
    const socket = ws.getUserData();
    socket.ws = null;
    closes.set(code, (closes.get(code) ?? 0) + 1);
    sockets.delete(socket.conn);
    counts.closed(limitKey(socket.address), socket.caller === null);
    if (socket.caller !== null) {
      const mine = byUser.get(socket.caller.user_id);
      mine?.delete(socket);
      if (mine?.size === 0) byUser.delete(socket.caller.user_id);
      presence.disconnected(socket.caller.user_id);
    }
    for (const room_id of [...socket.rooms]) unsubscribe(socket, room_id);
  }

  const upgrade = upgradeHandler({
    policy: deps.policy,
    addressOf: deps.policy.addressOf,
    sessions: { check: (token) => deps.sessions().check(token) },
    blocked: deps.blocks.has,
    full: (address) => counts.tooMany(limitKey(address), false),
    tooMany,
    limited: metrics.limited,
    accepting: () => !leaving,
    make: ({ enc, address, check, rejected }) => ({
      conn: ++lastConn,
      enc,
      address,
      openedAt: performance.now(),
      ws: null,
      rejected,
      caller: check?.ok ? check.caller : null,
      expiresAtMs: check?.ok ? check.expiresAtMs : Number.POSITIVE_INFINITY,
      rooms: new Set(),
      missedSince: null,
      nextPingAt: performance.now() + PING_EVERY_MS,
      bad: [],
      refused: [],
      reading: 0,
      joining: 0,
      over: 0,
      resuming: new Map(),
    }),
  });
  const behavior = {
    maxPayloadLength: limits.wsMaxFrameBytes,
    maxBackpressure: MAX_BACKPRESSURE_BYTES,
    idleTimeout: SILENT_S,
    sendPingsAutomatically: false, // the sweep pings at the protocol's interval
    upgrade,
    open: opened,
    message: (ws: WebSocket<Socket>, bytes: ArrayBuffer, isBinary: boolean) =>
      receive(ws.getUserData(), bytes, isBinary),
    dropped(ws: WebSocket<Socket>) {
      totals.drops++;
      ws.getUserData().missedSince ??= performance.now();
    },
    ping(ws: WebSocket<Socket>) {
      const socket = ws.getUserData(); // uWebSockets has answered it
      requests.admit(socket, PING);
    },
    pong(ws: WebSocket<Socket>) {
      requests.admit(ws.getUserData(), PING);
    },
    drain(ws: WebSocket<Socket>) {
      const socket = ws.getUserData();
      if (socket.missedSince === null || ws.getBufferedAmount() > MAX_BACKPRESSURE_BYTES / 4) return;
      socket.missedSince = null;
      sendResync(socket, socket.rooms);
    },
    close: closed,
  };

  /** Deadlines of all sockets in one pass a second: a timer for each would cost more than it is worth. */
  const sweep = setInterval(() => {
    const now = performance.now();
    const wall = Date.now();
    for (const socket of sockets.values()) {
      if (socket.expiresAtMs <= wall) close(socket, 'bad_token');
      else if (socket.caller === null && now - socket.openedAt > AUTHENTICATE_WITHIN_MS) {
        close(socket, 'not_authenticated');
      } else if (socket.missedSince !== null && now - socket.missedSince > SLOW_READER_MS)
        close(socket, 'slow_reader');
      else if (now >= socket.nextPingAt) {
        socket.nextPingAt = now + PING_EVERY_MS;
        socket.ws?.ping();
      }
    }
  }, SWEEP_MS);

  const events: ShardEvents = {
    reply(reply: FrameReply, bytes, request) {
      const socket = sockets.get(reply.conn);
      for (const { room_id, rev, members, joined_ms } of reply.subscribe ?? []) {
        const fresh = socket !== undefined && topics.subscribe(socket, room_id, rev, joined_ms);
        if (!fresh && request !== null) release(request, room_id);
        if (socket?.caller) presence.joined(socket.caller.user_id, room_id, members, socket);
      }
      if (socket === undefined) return;
      if (reply.unsubscribe !== undefined) unsubscribe(socket, reply.unsubscribe);
      sendBytes(socket, bytes);
      if (request?.type === 'send_message') metrics.acknowledged(secondsSince(request.at));
      if (request !== null) requests.answered(socket, request, reply.failed === true);
      if (reply.refused) requests.countRefused(socket);
    },
    lost(request, code) {
      const socket = sockets.get(request.conn);
      if (socket === undefined) return;
      metrics.lost(code);
      if (code === 'overloaded') metrics.limited('credit');
      send(socket, answer('error', request, problem(code, { retryAfterMs: 1_000 })));
      requests.answered(socket, request, true);
    },
    publish(event, json, msgpack) {
      if (event.fact !== undefined && !told.fresh(event.fact)) return;
      totals.published++;
      totals.framesOut += topics.publish(event.room_id, event.rev, json, msgpack);
      if (event.created_ms !== undefined) metrics.delivered(secondsSince(event.created_ms));
      if (event.members !== undefined) presence.membersChanged(event.room_id, event.members);
    },
    resync(event) {
      topics.noteRev(event.room_id, event.rev);
      for (const socket of topics.socketsOf(event.room_id)) sendResync(socket, [event.room_id]);
    },
    toUser(event, json, msgpack) {
      if (event.fact === undefined || told.fresh(event.fact)) sendToUser(event.user_id, { json, msgpack });
    },
    revoke: ({ room_id, user_id, before_ms }) => revoke(room_id, user_id, before_ms),
    standingsChanged({ changes }) {
      const { shards, tell } = deps.links();
      for (let shard = 0; shard < shards; shard++) {
        const theirs = changes
          .filter(({ room_id }) => room_id === null || shardOf(room_id, shards) === shard)
          .map((change) => ({ ...change, tell: standingNews.concerns(change) }));
        if (theirs.length > 0) tell(shard, { t: 'standings_changed', changes: theirs });
      }
      // At once too, as the shard may be starting again.
      for (const change of changes) standingNews.ended(change);
    },
    blocksChanged({ blocks }) {
      const isNew = deps.blocks.replace(blocks);
      for (const socket of sockets.values()) if (isNew(socket.address)) close(socket, 'blocked');
    },
    sessionsEnded({ ended, watched }) {
      const fresh = watched ? deps.sessions().heard(ended) : deps.sessions().end(ended);
      for (const { user_id, sid } of fresh) {
        const theirs = [...(byUser.get(user_id) ?? [])].filter((socket) => socket.caller?.sid === sid);
        for (const socket of theirs) close(socket, 'session_ended');
      }
    },
    ...presence.events,
    standing: (shard) => topics.standing(shard, config.shards),
  };

  return {
    events,
    attach(app) {
      apps.push(app);
      app.ws<Socket>('/api/v1/ws', behavior);
    },
    bye() {
      leaving = true;
      presence.bye();
      for (const socket of sockets.values()) {
        const payload = {
          reason: 'restarting',
          reconnect_after_ms: Math.floor(Math.random() * BYE_SPREAD_MS),
        };
        send(socket, { type: 'bye', payload, timestamp: Date.now() });
      }
    },
    closeAll() {
      clearInterval(sweep);
      presence.close();
      for (const socket of [...sockets.values()]) close(socket, 'restarting');
    },
    counts() {
      const counts = { json: 0, msgpack: 0, topics: topics.size, slow: 0, present: presence.size() };
      for (const socket of sockets.values()) {
        counts[socket.enc]++;
        if (socket.missedSince !== null) counts.slow++;
      }
      return counts;
    },
    closes,
    totals,
  };
}
