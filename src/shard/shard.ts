import { performance } from 'node:perf_hooks';
import { openLinks } from '../attachments/open-storage.js';
import { presentation } from '../attachments/presentation.js';
import { createAccounts } from '../auth/accounts.js';
import type { SessionEnds, UserNews } from '../auth/ports.js';
import { createProfiles } from '../auth/profiles.js';
import { openBus } from '../bus/open-bus.js';
import { accountHandlers } from '../http/account-handlers.js';
import { attachmentRemovalHandlers } from '../http/attachment-removal-handlers.js';
import { discoveryHandlers } from '../http/discovery-handlers.js';
import { messageHandlers } from '../http/message-handlers.js';
import { moderationHandlers } from '../http/moderation-handlers.js';
import { profileHandlers } from '../http/profile-handlers.js';
import { roomHandlers } from '../http/room-handlers.js';
import { ROUTES, type ShardRoute } from '../http/routes.js';
import { searchHandlers } from '../http/search-handlers.js';
import type { HttpHandler } from '../http/types.js';
import type { PresenceNews, ShardStart, StandingChange, ToShard } from '../ipc/messages.js';
import { repeat } from '../lib/repeat.js';
import { secondsSince } from '../lib/wall-clock.js';
import { createSampledLogger } from '../observability/logger.js';
import { timed } from '../observability/timed.js';
import { ERRORS, Refusal } from '../protocol/errors.js';
import { shardOf, type UserId } from '../protocol/ids.js';
import { accountRemoval } from '../rooms/account-removal.js';
import { createAdmission } from '../rooms/admission.js';
import { attachmentRemoval } from '../rooms/attachment-removal.js';
import { attachmentViews } from '../rooms/attachment-view.js';
import { createBatchWriter } from '../rooms/batch-writer.js';
import type { LogEvent } from '../rooms/events.js';
import { inTime } from '../rooms/in-time.js';
import { createJoins } from '../rooms/joins.js';
import { LogUnavailable } from '../rooms/log-errors-port.js';
import { createMessageService } from '../rooms/message-service.js';
import { moderationService } from '../rooms/moderation-service.js';
import { createReadMarks } from '../rooms/read-marks.js';
import { createReadReceipts } from '../rooms/read-receipts.js';
import { roomService } from '../rooms/room-service.js';
import { createSequencer } from '../rooms/sequencer.js';
import { createSlowMode } from '../rooms/slow-mode.js';
import { createTyping } from '../rooms/typing.js';
import { accountRemovalStore } from '../store/account-removal.js';
import { attachmentStore } from '../store/attachments.js';
import { changesSince, purgeStandingChanges } from '../store/changes.js';
import { isDangling, isUnavailable, openDatabase, StoreUnavailable } from '../store/client.js';
import { discoverRooms } from '../store/discovery.js';
import { endHalfStatements } from '../store/half-statements.js';
import { databaseAnswers } from '../store/health.js';
import { history, messageById, roomOf, seqOf } from '../store/history.js';
import { joinStates } from '../store/join-state.js';
import { membersOf } from '../store/members.js';
import { messageLog } from '../store/message-log.js';
import { messageSearch } from '../store/message-search.js';
import { moderationStore } from '../store/moderation-store.js';
import { pinsOf } from '../store/pins.js';
import { presenceStore } from '../store/presence.js';
import { profileStore } from '../store/profiles.js';
import { advanceReadMarks } from '../store/read-marks.js';
import { sweepRetention } from '../store/retention.js';
import { roomStore } from '../store/room-store.js';
import { roomById } from '../store/rooms.js';
import { mergeWords, roomsBehind, writeWords } from '../store/search-index.js';
import { purgeSessions } from '../store/sessions.js';
import { slowModeStore } from '../store/slow-mode.js';
import { standingReader } from '../store/standings.js';
import { editsOf, thread } from '../store/threads.js';
import { accountStore } from '../store/users.js';
import { createAnnouncer } from './announcer.js';
import { watchChanges } from './change-watch.js';
import { createCpuLink } from './cpu-link.js';
import { eventSink } from './event-sink.js';
import { type FrameServices, replyError, runFrame } from './frame-commands.js';
import { startHousekeeping } from './housekeeping.js';
import { createLateNews } from './late-news.js';
import { createShardMetrics, shardTotals } from './metrics.js';
import { createMutations } from './mutations.js';
import { createOutbox } from './outbox.js';
import { createShardPresence } from './presence.js';
import { connectRelay } from './relay.js';
import { createRequestLimits } from './request-limits.js';
import { startRetention } from './retention.js';
import { createRoomTurns } from './room-turns.js';
import { searchUpkeep } from './search-upkeep.js';
import { connectSignals } from './signals.js';

const STATS_EVERY_MS = 1_000;
const HALF_STATEMENTS_EVERY_MS = 1_000;
const CHANGES_WORDS: ReadonlySet<LogEvent['type']> = new Set([
  'new_message',
  'message_updated',
  'message_deleted',
]);

/** Tells a request in the log: REST by the id that the client has too, frames by the front's number of the socket. */
type RequestFields =
  | { request_id: string; route: string }
  | { conn: number; type: string }
  | Record<never, never>;

/**
 * Runs a shard on its port until it is told to drain: everything that happens to its rooms in this process.
 * Resolves when drained; a throw inside is a crash that the front's supervisor answers with a new shard.
 */
export async function runShard(start: ShardStart): Promise<void> {
  const { config, port, shard } = start;
  const { log, leftOut } = createSampledLogger(config.logLevel, {
    process: start.index,
    thread: `shard-${shard}`,
  });
  /** @param request what tells the request that it happened in, where it happened in one */
  const report = (error: unknown, request: RequestFields = {}) => {
    if (error instanceof LogUnavailable || error instanceof StoreUnavailable) {
      log.warn({ event: 'database_unavailable', ...request, cause: String(error.cause ?? error) });
    } else log.error({ event: 'shard_error', ...request, err: error });
  };
  const db = openDatabase(start.databaseUrl, config.dbPoolSize, `parley-shard-${shard}`);
  const mayMutate = process.env.PARLEY_TEST_FAULTS === '1' && config.nodeEnv === 'test';
  const mutations = mayMutate ? createMutations() : null;
  const plainOutbox = createOutbox(port);
  const outbox = mutations?.outbox(plainOutbox) ?? plainOutbox;
  const where = { shard, shards: config.shards };
  const metrics = createShardMetrics({ process: start.index, shard, poolSize: config.dbPoolSize });
  const plainLog = timed(messageLog(db), metrics.queried);
  const messagesLog = mutations?.log(plainLog) ?? plainLog;
  const { linked } = attachmentViews(
    openLinks(config, start.jwtSecret),
    presentation,
    config.attachments.urlLifeMs,
  );
  const bus = openBus(config, start.hubPath, start.nodeId, log);
  const limits = createRequestLimits(config, start.hubPath, log);
  const sink = eventSink(outbox, linked);
  const sequencer = createSequencer(messagesLog, mutations?.sink(sink) ?? sink, report, bus.healthy);
  const relay = await connectRelay(bus, where, (events) => sequencer.offer(events), log);
  const committed = (events: readonly LogEvent[]) => {
    sequencer.offer(events);
    relay.publish(events);
    for (const { type, room_id, message } of events) {
      if (type === 'new_message') typing.sent(room_id, message.user_id as UserId);
      if (CHANGES_WORDS.has(type)) searchWords.changed(room_id);
    }
  };
  const searchIndex = timed(
    {
      writeWords: writeWords.bind(null, db),
      mergeWords: mergeWords.bind(null, db),
      roomsBehind: roomsBehind.bind(null, db),
    },
    metrics.queried,
  );
  // One shard looks for all rooms of which nobody told.
  const roomsToLookFor = shard === 0 ? searchIndex.roomsBehind : null;
  const searchWords = searchUpkeep({ ...searchIndex, roomsBehind: roomsToLookFor, report });
  const writer = createBatchWriter(messagesLog, committed, report, metrics.batch);
  const admission = createAdmission(timed(standingReader(db), metrics.queried));
  const slowMode = createSlowMode(slowModeStore(db), report);
  const messages = createMessageService({
    log: messagesLog,
    admission,
    writer,
    slowMode,
    admitted: metrics.admitted,
  });
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
  const announcer = createAnnouncer({
    outbox,
    listeners: (room_id) => (shardOf(room_id, config.shards) === shard ? sequencer.listeners(room_id) : null),
    forget: admission.forget,
    cancelJoins: joins.revoke,
    forgetUser: admission.forgetUser,
    signals: () => signals,
  });
  const tellLate = createLateNews({
    membersOf: (room_id, user_ids) => membersOf(db, room_id, user_ids),
    roomById: (room_id) => roomById(db, room_id),
    hear: announcer.hear,
  });
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
  const presenceHeard = (heard: PresenceNews) => outbox.post({ t: 'presence_heard', news: heard });
  const heard = { signal: announcer.hear, presence: presenceHeard };
  const signals = await connectSignals(bus, where, heard, log);
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
      if (ended.length > 0) announcer.announce(['ended', user_id, ended]);
    },
  };
  const news: UserNews = {
    userChanged: (user_id) => announcer.announce(['account', user_id]),
    renamed: (user_id, username) => announcer.announce(['renamed', user_id, username]),
    statusChosen: (user_id, status) => announcer.announce(['status', user_id, status]),
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
  const rooms = timed(roomStore(db), metrics.queried);
  // What one shard does for the whole process.
  const duties =
    shard !== 0
      ? []
      : [
          watchChanges({
            changesSince: (mark) => changesSince(db, mark, config.jwt.expirationMs),
            ended: (ended) => outbox.post({ t: 'sessions_ended', ended, watched: true }),
            blocked: (blocks) => outbox.post({ t: 'blocks_changed', blocks }),
            standings: (changes) => outbox.post({ t: 'standings_changed', changes }),
            report,
          }),
          startHousekeeping({
            purgeSessions: (before) => purgeSessions(db, before),
            purgeStandings: (before) => purgeStandingChanges(db, before),
            tokenLifeMs: config.jwt.expirationMs,
            report,
          }),
          startRetention({
            sweep: (stopped) => sweepRetention(db, stopped),
            swept: (messages) => log.info({ event: 'retention_swept', messages }),
            report,
          }),
          repeat(
            HALF_STATEMENTS_EVERY_MS,
            async () => {
              const connections = await endHalfStatements(db);
              if (connections > 0) log.warn({ event: 'half_statements_ended', connections });
            },
            report,
          ),
        ];
  const handlers: Record<ShardRoute, HttpHandler> = {
    ...accountHandlers(accounts),
    ...roomHandlers(roomService({ store: rooms, announcer, roomsMax: config.limits.roomsPerUser })),
    ...moderationHandlers(
      moderationService({ store: rooms, moderation: timed(moderationStore(db), metrics.queried), announcer }),
    ),
    ...messageHandlers({ ...where, messages, reader, markRead }),
    ...attachmentRemovalHandlers({
      ...where,
      removal: attachmentRemoval({ store: timed(attachmentStore(db), metrics.queried), messages }),
    }),
    ...searchHandlers({ messages, reader, search: timed(messageSearch(db), metrics.queried) }),
    ...discoveryHandlers({ discover: (words, after, limit) => discoverRooms(db, words, after, limit) }),
    ...profileHandlers(
      createProfiles({ store: timed(profileStore(db), metrics.queried), news, statusOf: presence.statusOf }),
      accountRemoval({ store: timed(accountRemovalStore(db), metrics.queried), announcer, ends, news }),
    ),
  };

  /** The client's view of whatever a request ended with. */
  function refusalFor(error: unknown, request: RequestFields): Refusal {
    if (error instanceof Refusal) return error;
    if (error instanceof LogUnavailable || error instanceof StoreUnavailable || isUnavailable(error)) {
      log.debug({ event: 'unavailable', ...request });
      return new Refusal('unavailable');
    }
    if (isDangling(error)) return new Refusal('not_found');
    report(error, request);
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
      const { conn, type } = request;
      const refusal = refusalFor(error, { conn, type });
      metrics.refused(refusal.problem.code);
      replyError(outbox, request, refusal);
    }
  }

  async function answerHttp(request: Extract<ToShard, { t: 'http' }>): Promise<void> {
    const { id } = request;
    try {
      const over = await limits.over(request);
      if (over !== null && request.over === null) metrics.limited(ROUTES[request.route].limit);
      if (over !== null && request.route !== 'send_message')
        throw new Refusal('rate_limited', { retryAfterMs: over.retry_after_ms });
      const result = await inTime(handlers[request.route as ShardRoute]({ ...request, over }));
      if ('reroute' in result) return outbox.post({ t: 'reroute', id, room_id: result.reroute });
      const { status, data, page } = result;
      const body = JSON.stringify({
        success: true,
        data: linked(data, request.origin),
        ...(page === undefined ? {} : { page }),
      });
      outbox.post({ t: 'http', id, status, at: outbox.bytes(body) });
    } catch (error) {
      const { request_id, route } = request;
      const refused = refusalFor(error, { request_id, route }).problem;
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

  async function answerTake({ id, takes }: Extract<ToShard, { t: 'take' }>): Promise<void> {
    outbox.post({ t: 'taken', id, wait_ms: await limits.take(takes) });
  }

  let underway = 0;
  const track = (work: Promise<void>) => {
    underway++;
    void work.catch((error: unknown) => report(error)).finally(() => underway--);
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
      case 'take':
        return track(answerTake(message));
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
      case 'standings_changed':
        return standingsChanged(message.changes);
      case 'presence_told':
        return signals.tellPresence(message.partition, message.news);
      case 'log_level':
        log.level = message.level;
        return;
      case 'metrics':
        return void sendMetrics(message.id);
      case 'mutate':
        return mutations?.set(message.mutation);
      case 'crash':
        throw new Error('crash asked for by a test');
      case 'drain':
        return void drain();
      default:
        return message satisfies never;
    }
  }

  /** The front has ended the subscriptions; those that were granted meanwhile it ends when `revoke` comes after them. */
  function standingsChanged(changes: readonly (StandingChange & { readonly tell: boolean })[]): void {
    for (const { room_id, user_id, ended, kind, at_ms } of changes) {
      if (room_id === null) {
        if (user_id !== null) admission.forgetUser(user_id);
      } else if (ended || kind === 'gone') announcer.hear(['revoke', room_id, user_id, at_ms]);
      else announcer.hear(['standing', room_id, user_id]);
    }
    const untold = changes.filter(({ tell }) => tell);
    if (untold.length > 0) track(tellLate(untold));
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

  metrics.watch(
    shardTotals({
      sequencer,
      admission,
      messages,
      writer,
      joins,
      bus,
      limits,
      searchWords,
      log: { leftOut },
    }),
  );

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
        redis_up: config.redis === null ? null : bus.healthy(),
        bus_healthy: bus.healthy(),
      },
    });
    utilization = now;
  }, STATS_EVERY_MS);

  port.on('message', (batch: readonly ToShard[]) => {
    for (const message of batch) receive(message);
  });
  await done;
  clearInterval(statsTimer);
  for (const stop of duties) stop();
  typing.close();
  receipts.close();
  searchWords.close();
  sequencer.close();
  await Promise.all([bus.close(), limits.close()]);
  writer.close();
  await db.end({ timeout: 1 });
  port.close();
}
