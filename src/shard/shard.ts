import { performance } from 'node:perf_hooks';
import { openLinks } from '../attachments/open-storage.js';
import { presentation } from '../attachments/presentation.js';
import { createAccounts } from '../auth/accounts.js';
import type { SessionEnds, UserNews } from '../auth/ports.js';
import { createProfiles } from '../auth/profiles.js';
import { watchSessions } from '../auth/session-watch.js';
import { openBus } from '../bus/open-bus.js';
import { accountHandlers } from '../http/account-handlers.js';
import { discoveryHandlers } from '../http/discovery-handlers.js';
import { messageHandlers } from '../http/message-handlers.js';
import { moderationHandlers } from '../http/moderation-handlers.js';
import { profileHandlers } from '../http/profile-handlers.js';
import { roomHandlers } from '../http/room-handlers.js';
import type { ShardRoute } from '../http/routes.js';
import { searchHandlers } from '../http/search-handlers.js';
import type { HttpHandler } from '../http/types.js';
import type { ShardStart, ToShard } from '../ipc/messages.js';
import { secondsSince } from '../lib/wall-clock.js';
import { createLogger } from '../observability/logger.js';
import { timed } from '../observability/timed.js';
import { ERRORS, Refusal } from '../protocol/errors.js';
import { Encoding, encodeFrame, type ServerFrame } from '../protocol/frames.js';
import type { UserId } from '../protocol/ids.js';
import { accountRemoval } from '../rooms/account-removal.js';
import { createAdmission } from '../rooms/admission.js';
import { type AttachmentViews, attachmentViews } from '../rooms/attachment-view.js';
import { createBatchWriter } from '../rooms/batch-writer.js';
import { type LogEvent, logEventFrame } from '../rooms/events.js';
import { inTime } from '../rooms/in-time.js';
import { createJoins } from '../rooms/joins.js';
import { LogUnavailable } from '../rooms/log-errors-port.js';
import { createMessageService } from '../rooms/message-service.js';
import { moderationService } from '../rooms/moderation-service.js';
import type { Announcer } from '../rooms/ports.js';
import { createReadMarks } from '../rooms/read-marks.js';
import { createReadReceipts } from '../rooms/read-receipts.js';
import { roomService } from '../rooms/room-service.js';
import { createSequencer, type EventSink } from '../rooms/sequencer.js';
import { createSlowMode } from '../rooms/slow-mode.js';
import { createTyping } from '../rooms/typing.js';
import { accountRemovalStore } from '../store/account-removal.js';
import { isDangling, isUnavailable, openDatabase, StoreUnavailable } from '../store/client.js';
import { discoverRooms } from '../store/discovery.js';
import { databaseAnswers } from '../store/health.js';
import { history, messageById, roomOf, seqOf } from '../store/history.js';
import { joinStates } from '../store/join-state.js';
import { messageLog } from '../store/message-log.js';
import { messageSearch } from '../store/message-search.js';
import { moderationStore } from '../store/moderation-store.js';
import { pinsOf } from '../store/pins.js';
import { presenceStore } from '../store/presence.js';
import { profileStore } from '../store/profiles.js';
import { advanceReadMarks } from '../store/read-marks.js';
import { roomStore } from '../store/room-store.js';
import { endedSince, purgeSessions } from '../store/sessions.js';
import { slowModeStore } from '../store/slow-mode.js';
import { standingReader } from '../store/standings.js';
import { editsOf, thread } from '../store/threads.js';
import { accountStore } from '../store/users.js';
import { createCpuLink } from './cpu-link.js';
import { type FrameServices, replyError, runFrame } from './frame-commands.js';
import { startHousekeeping } from './housekeeping.js';
import { createShardMetrics, shardTotals } from './metrics.js';
import { createOutbox, type Outbox } from './outbox.js';
import { createShardPresence } from './presence.js';
import { connectRelay } from './relay.js';
import { createRoomTurns } from './room-turns.js';

const STATS_EVERY_MS = 1_000;

/**
 * Runs a shard on its port until it is told to drain: everything that happens to its rooms in this process.
 * Resolves when drained; a throw inside is a crash that the front's supervisor answers with a new shard.
 */
export async function runShard(start: ShardStart): Promise<void> {
  const { config, port, shard } = start;
  const log = createLogger(config.logLevel, { thread: `shard-${shard}` });
  const report = (error: unknown) => {
    if (error instanceof LogUnavailable || error instanceof StoreUnavailable) {
      log.warn({ event: 'database_unavailable', cause: String(error.cause ?? error) });
    } else log.error({ event: 'shard_error', err: error });
  };
  const db = openDatabase(start.databaseUrl, config.dbPoolSize, `parley-shard-${shard}`);
  const outbox = createOutbox(port);
  const where = { shard, shards: config.shards };
  const metrics = createShardMetrics({ process: start.index, shard });
  const messagesLog = timed(messageLog(db), metrics.queried);
  const { linked } = attachmentViews(
    openLinks(config, start.jwtSecret),
    presentation,
    config.attachments.urlLifeMs,
  );
  const sequencer = createSequencer(messagesLog, eventSink(outbox, linked), report);
  const bus = openBus(config, start.hubPath, start.nodeId, log);
  const relay = await connectRelay(bus, where, (events) => sequencer.offer(events), log);
  const committed = (events: readonly LogEvent[]) => {
    sequencer.offer(events);
    relay.publish(events);
    for (const { type, room_id, message } of events) {
      if (type === 'new_message') typing.sent(room_id, message.user_id as UserId);
    }
  };
  const writer = createBatchWriter(messagesLog, committed, report, metrics.batch);
  const admission = createAdmission(timed(standingReader(db), metrics.queried));
  const slowMode = createSlowMode(slowModeStore(db), report);
  const messages = createMessageService({ log: messagesLog, admission, writer, slowMode });
  const joinReader = timed({ joinStates: joinStates.bind(null, db) }, metrics.queried);
  const reader = timed(
    {
      history: history.bind(null, db),
      seqOf: seqOf.bind(null, db),
      messageById: messageById.bind(null, db),
      roomOf: roomOf.bind(null, db),
      thread: thread.bind(null, db),
      editsOf: editsOf.bind(null, db),
      pinsOf: pinsOf.bind(null, db),
    },
    metrics.queried,
  );
  const cpu = createCpuLink(outbox, config.passwordHash);
  const joins = createJoins(joinReader, messagesLog, sequencer);
  const announcer = roomAnnouncer(outbox, admission.forget, joins.revoke);
  const typing = createTyping({ admission, announcer });
  const receipts = createReadReceipts(announcer);
  const markRead = createReadMarks((marks) => advanceReadMarks(db, marks), receipts.moved);
  const presence = createShardPresence({
    ...where,
    store: presenceStore(db),
    post: outbox.post,
    gone: typing.gone,
    report,
  });
  const frames: FrameServices = {
    ...where,
    outbox,
    linked,
    messages,
    markRead,
    reader,
    joins,
    typing,
    turns: createRoomTurns(),
  };
  const ends: SessionEnds = {
    end(user_id, sids) {
      const ended = sids.map((sid) => ({ sid, user_id, ended_ms: Date.now() }));
      outbox.post({ t: 'sessions_ended', ended, watched: false });
    },
  };
  const news: UserNews = {
    userChanged(user_id) {
      admission.forgetUser(user_id);
      outbox.post({ t: 'notice', notice: { kind: 'user_changed', user_id } });
    },
    statusChosen: (user_id, status) => outbox.post({ t: 'status_chosen', user_id, status }),
  };
  const accounts = createAccounts({
    store: timed(accountStore(db), metrics.queried),
    hasher: cpu.hasher,
    ends,
    statusOf: presence.statusOf,
    jwtSecret: start.jwtSecret,
    expirationMs: config.jwt.expirationMs,
    refreshExpirationMs: config.jwt.refreshExpirationMs,
  });
  // One shard watches for the whole process.
  const unwatch =
    shard !== 0
      ? () => {}
      : watchSessions({
          endedSince: (sinceMs) => endedSince(db, sinceMs),
          found: (ended) => outbox.post({ t: 'sessions_ended', ended, watched: true }),
          lookBackMs: config.jwt.expirationMs,
          nowMs: Date.now(),
          report,
        });
  const rooms = roomStore(db);
  const stopHousekeeping =
    shard !== 0
      ? () => {}
      : startHousekeeping({
          purgeSessions: (before) => purgeSessions(db, before),
          tokenLifeMs: config.jwt.expirationMs,
          report,
        });
  const handlers: Record<ShardRoute, HttpHandler> = {
    ...accountHandlers(accounts),
    ...roomHandlers(roomService({ store: rooms, announcer, roomsMax: config.limits.roomsPerUser })),
    ...moderationHandlers(moderationService({ store: rooms, moderation: moderationStore(db), announcer })),
    ...messageHandlers({ ...where, messages, reader, markRead }),
    ...searchHandlers({ messages, reader, search: timed(messageSearch(db), metrics.queried) }),
    ...discoveryHandlers({ discover: (words, after, limit) => discoverRooms(db, words, after, limit) }),
    ...profileHandlers(
      createProfiles({ store: timed(profileStore(db), metrics.queried), news, statusOf: presence.statusOf }),
      accountRemoval({ store: timed(accountRemovalStore(db), metrics.queried), announcer, ends, news }),
    ),
  };

  /** The client's view of whatever a request ended with. */
  function refusalFor(error: unknown): Refusal {
    if (error instanceof Refusal) return error;
    if (error instanceof LogUnavailable || error instanceof StoreUnavailable || isUnavailable(error)) {
      return new Refusal('unavailable');
    }
    if (isDangling(error)) return new Refusal('not_found');
    report(error);
    return new Refusal('internal');
  }

  async function answerFrame(request: Extract<ToShard, { t: 'frame' }>): Promise<void> {
    if (request.type === 'send_message') metrics.arrived(secondsSince(request.at));
    const liveness = { late: false };
    try {
      const work = runFrame(request, frames, liveness);
      // A send keeps its own deadlines: a timer for each would cost more than the send.
      await (request.type === 'send_message' ? work : inTime(work));
    } catch (error) {
      liveness.late = true; // whatever the work still comes to, it is answered
      replyError(outbox, request, refusalFor(error));
    }
  }

  async function answerHttp(request: Extract<ToShard, { t: 'http' }>): Promise<void> {
    const { id } = request;
    try {
      const result = await inTime(handlers[request.route as ShardRoute](request));
      if ('reroute' in result) return outbox.post({ t: 'reroute', id, room_id: result.reroute });
      const { status, data, page } = result;
      const body = JSON.stringify({
        success: true,
        data: linked(data),
        ...(page === undefined ? {} : { page }),
      });
      outbox.post({ t: 'http', id, status, at: outbox.bytes(body) });
    } catch (error) {
      const refused = refusalFor(error).problem;
      const { status } = ERRORS[refused.code];
      outbox.post({
        t: 'http',
        id,
        status,
        at: outbox.bytes(JSON.stringify(refused)),
        ...(refused.retry_after_ms === undefined ? {} : { retryAfterMs: refused.retry_after_ms }),
      });
    }
  }

  let underway = 0;
  const track = (work: Promise<void>) => {
    underway++;
    void work.catch(report).finally(() => underway--);
  };
  let drained!: () => void;
  const done = new Promise<void>((resolve) => {
    drained = resolve;
  });

  function receive(message: ToShard): void {
    switch (message.t) {
      case 'frame':
        return track(answerFrame(message));
      case 'http':
        return track(answerHttp(message));
      case 'release':
        return sequencer.release(message.room_id, message.enc);
      case 'restore':
        return sequencer.restore(message.rooms);
      case 'presence':
        return presence.changed(message);
      case 'read_statuses':
        return track(presence.read(message.user_ids));
      case 'cpu_done':
        return cpu.done(message);
      case 'notice':
        return admission.forgetUser(message.notice.user_id);
      case 'log_level':
        log.level = message.level;
        return;
      case 'metrics':
        return void sendMetrics(message.id);
      case 'crash':
        throw new Error('crash asked for by a test');
      case 'drain':
        return void drain();
      default:
        return message satisfies never;
    }
  }

  /** Waits for what is under way; the front takes in nothing new meanwhile and bounds the time. */
  async function drain(): Promise<void> {
    while (underway > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await writer.idle();
    await inTime(presence.close()).catch(report);
    outbox.post({ t: 'drained' });
    outbox.flush();
    drained();
  }

  async function sendMetrics(id: number): Promise<void> {
    outbox.post({ t: 'metrics', id, metrics: await metrics.registry.getMetricsAsJSON() });
  }

  metrics.watch(shardTotals({ sequencer, admission, writer, bus }));

  let databaseUp = true;
  let utilization = performance.eventLoopUtilization();
  const statsTimer = setInterval(() => {
    void databaseAnswers(db).then((up) => {
      databaseUp = up;
    });
    const now = performance.eventLoopUtilization();
    outbox.post({
      t: 'stats',
      stats: {
        utilization: performance.eventLoopUtilization(now, utilization).utilization,
        database_up: databaseUp,
      },
    });
    utilization = now;
  }, STATS_EVERY_MS);

  port.on('message', (batch: readonly ToShard[]) => {
    for (const message of batch) receive(message);
  });
  await done;
  clearInterval(statsTimer);
  unwatch();
  typing.close();
  receipts.close();
  stopHousekeeping();
  sequencer.close();
  await bus.close();
  writer.close();
  await db.end({ timeout: 1 });
  port.close();
}

function eventSink(outbox: Outbox, linked: AttachmentViews['linked']): EventSink {
  const encoded = (encoding: Encoding, wanted: number, frame: ServerFrame) =>
    wanted > 0 ? outbox.bytes(encodeFrame(encoding, frame)) : null;
  return {
    publish(event, listeners) {
      if (listeners.json === 0 && listeners.msgpack === 0) return;
      const frame = linked(logEventFrame(event));
      const json = encoded(Encoding.json, listeners.json, frame);
      const msgpack = encoded(Encoding.msgpack, listeners.msgpack, frame);
      const created =
        event.type === 'new_message' ? { created_ms: Date.parse(event.message.created_at) } : {};
      outbox.post({ t: 'publish', room_id: event.room_id, rev: event.rev, ...created, json, msgpack });
    },
    resync: (room_id, rev) => outbox.post({ t: 'resync', room_id, rev }),
  };
}

/** What an event adds to a room's members. */
const MEMBERS_BY: ReadonlyMap<string, 1 | -1> = new Map([
  ['member_joined', 1],
  ['member_left', -1],
]);

type Forget = (...of: Parameters<Announcer['revoke']>) => void;

function roomAnnouncer(outbox: Outbox, forget: Forget, cancelJoins: Forget): Announcer {
  const both = (frame: ServerFrame) => ({
    json: outbox.bytes(encodeFrame(Encoding.json, frame)),
    msgpack: outbox.bytes(encodeFrame(Encoding.msgpack, frame)),
  });
  const frameOf = (
    type: string,
    room_id: Parameters<Announcer['toRoom']>[0],
    payload: unknown,
  ): ServerFrame => ({
    type,
    room_id,
    payload,
    timestamp: Date.now(),
  });
  return {
    toRoom(room_id, type, payload) {
      const members = MEMBERS_BY.get(type);
      const frame = both(frameOf(type, room_id, payload));
      outbox.post({ t: 'publish', room_id, rev: null, ...frame, ...(members ? { members } : {}) });
    },
    toUser: (user_id, room_id, type, payload) =>
      outbox.post({ t: 'to_user', user_id, ...both(frameOf(type, room_id, payload)) }),
    revoke(room_id, user_id) {
      forget(room_id, user_id);
      cancelJoins(room_id, user_id);
      outbox.post({ t: 'revoke', room_id, user_id });
    },
    standingChanged: (room_id, user_id) => forget(room_id, user_id),
  };
}
