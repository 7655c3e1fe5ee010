import { checkClaim } from '../attachments/file-types.js';
import { linkSigner, openStorage } from '../attachments/open-storage.js';
import { presentation } from '../attachments/presentation.js';
import { StorageUnavailable } from '../attachments/storage-port.js';
import { TRANSFER_CONNECTIONS } from '../config-settings.js';
import { attachmentHandlers } from '../http/attachment-handlers.js';
import type { HttpHandler } from '../http/types.js';
import type { FromTransfer, ToTransfer, TransferStart } from '../ipc/messages.js';
import { withDeadline } from '../lib/deadline.js';
import { createLogger } from '../observability/logger.js';
import { timed } from '../observability/timed.js';
import { ERRORS, Refusal } from '../protocol/errors.js';
import type { PresignBody } from '../protocol/requests.js';
import { startCollector } from '../rooms/attachment-collector.js';
import type { AttachmentRecord } from '../rooms/attachment-ports.js';
import { attachmentService } from '../rooms/attachment-service.js';
import { attachmentViews, incomingKey } from '../rooms/attachment-view.js';
import { createCpuLink } from '../shard/cpu-link.js';
import { attachmentStore } from '../store/attachments.js';
import { isDangling, isUnavailable, openDatabase, StoreUnavailable } from '../store/client.js';
import { standingReader } from '../store/standings.js';
import { createDownloads } from './downloads.js';
import { createIngest, UselessUpload } from './ingest.js';
import { createTransferMetrics } from './metrics.js';
import { ClientGone, createUploads } from './uploads.js';

const CHECK_EVERY_MS = 3_000; // health is as old as that
const CHECK_TIMEOUT_MS = 2_500;
const ANSWER_MS = 9_800; // storage that is away is said to be within ten seconds
const COPY_ANSWER_MS = 120_000; // completing an upload: storage may have to join or copy all of it
const ONE_REQUEST_BYTES = 16 * 1_024 * 1_024; // a direct upload above it goes in parts

/**
 * Runs the transfer thread on its port until it is told to drain: everything about attachments that is not part of
 * a message. Resolves when drained; a throw inside is a crash that the front answers with a new thread.
 */
export async function runTransfer(start: TransferStart): Promise<void> {
  const { config, port, jwtSecret } = start;
  const log = createLogger(config.logLevel, { process: start.index, thread: 'transfer' });
  const report = (error: unknown, request: { request_id?: string } = {}): void => {
    if (error instanceof StorageUnavailable)
      log.warn({ event: 'storage_unavailable', ...request, cause: String(error.cause) });
    else if (error instanceof StoreUnavailable)
      log.warn({ event: 'database_unavailable', ...request, cause: String(error.cause) });
    else log.error({ event: 'transfer_error', ...request, err: error });
  };
  const post = (message: FromTransfer): void => port.postMessage(message);
  const db = openDatabase(start.databaseUrl, TRANSFER_CONNECTIONS, 'parley-transfer');
  const metrics = createTransferMetrics(start.index);
  const opened = await openStorage(config, jwtSecret);
  const local = opened.local === null ? null : timed(opened.local, metrics.stored);
  const storage = local ?? timed(opened.storage, metrics.stored);
  const ownDisk = local === null ? null : { storage: local, grants: linkSigner(config, jwtSecret) };
  const store = attachmentStore(db);
  const collector = startCollector(store, storage, report);
  const { urlLifeMs, quotaBytes, allowedTypes } = config.attachments;
  const { maxUploadBytes } = config.limits;
  const attachments = attachmentService({ store, standings: standingReader(db), maxUploadBytes, quotaBytes });
  const views = attachmentViews(storage, presentation, urlLifeMs);
  const cpu = createCpuLink({ post }, config.passwordHash);
  const ingest = createIngest({ storage, allowedTypes, picture: cpu.picture });
  const uploads = createUploads({
    attachments,
    views,
    ingest,
    local: ownDisk,
    post,
    left: collector.kick,
  });
  const downloads = createDownloads({
    local: ownDisk,
    linkTo: (key, show) => storage.link(key, { ...show, lifeMs: urlLifeMs }),
    attachments,
    post,
  });

  async function inspect(record: AttachmentRecord) {
    try {
      return await ingest.inspect(record);
    } catch (error) {
      if (!(error instanceof UselessUpload)) throw error;
      await attachments.giveUp(record.id);
      collector.kick();
      throw error.refusal;
    }
  }
  const handlers = attachmentHandlers({
    attachments,
    views,
    inspect,
    checkClaim: (file_type) => checkClaim(file_type, allowedTypes),
    grant: (key, { file_size, file_type }: PresignBody, lifeMs) =>
      file_size <= ONE_REQUEST_BYTES
        ? storage.presignPut(incomingKey(key), file_size, file_type, lifeMs)
        : storage.presignParts(key, file_size, file_type, lifeMs),
  });

  function refusalFor(error: unknown, request: { request_id?: string }): Refusal {
    if (error instanceof Refusal) return error;
    if (error instanceof StorageUnavailable || error instanceof StoreUnavailable || isUnavailable(error)) {
      report(error, request);
      return new Refusal('unavailable');
    }
    if (error instanceof ClientGone) return new Refusal('unavailable'); // that nobody reads
    if (isDangling(error)) return new Refusal('not_found');
    report(error, request);
    return new Refusal('internal');
  }

  type Success = Omit<Extract<FromTransfer, { t: 'answer' }>, 't' | 'id'>;
  const success = (status: number, data: unknown): Success => ({
    status,
    body: JSON.stringify({ success: true, data }),
  });

  /** Answers an exchange with what `work` comes to; null: it has been answered otherwise. */
  async function answer(
    id: number,
    work: Promise<Success | null>,
    request: { request_id?: string } = {},
  ): Promise<void> {
    try {
      const result = await work;
      if (result !== null) post({ t: 'answer', id, ...result });
    } catch (error) {
      const refused = refusalFor(error, request).problem;
      const retryAfterMs = refused.retry_after_ms;
      post({
        t: 'answer',
        id,
        status: ERRORS[refused.code].status,
        body: JSON.stringify(refused),
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      });
    }
  }

  async function rest(request: Extract<ToTransfer, { t: 'http' }>): Promise<Success> {
    const handle = (handlers as Partial<Record<string, HttpHandler>>)[request.route];
    if (handle === undefined) throw new Error(`no handler for ${request.route}`);
    const ms = request.route === 'complete_attachment' ? COPY_ANSWER_MS : ANSWER_MS;
    const result = await withDeadline(handle(request), ms, () => new Refusal('unavailable'));
    if ('reroute' in result) throw new Error('the transfer thread has no rooms to reroute to');
    return success(result.status, result.data);
  }

  async function content(request: Extract<ToTransfer, { t: 'download' }>): Promise<Success | null> {
    const result = await downloads.download(request);
    if (result === null) return null;
    if ('redirect' in result) return { ...success(302, {}), headers: [['location', result.redirect]] };
    const { problem } = new Refusal('bad_request', {
      field: 'range',
      sentence: 'The file has no such range.',
    });
    const headers = [['content-range', `bytes */${result.unsatisfiable}`]] as const;
    return { status: 416, body: JSON.stringify(problem), headers };
  }

  let underway = 0;
  const track = (work: Promise<void>): void => {
    underway++;
    void work.catch((error: unknown) => report(error)).finally(() => underway--);
  };
  let drained!: () => void;
  const done = new Promise<void>((resolve) => {
    drained = resolve;
  });

  async function drain(): Promise<void> {
    while (underway > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    post({ t: 'drained' });
    drained();
  }

  async function tellMetrics(id: number): Promise<void> {
    post({ t: 'metrics', id, metrics: await metrics.registry.getMetricsAsJSON() });
  }

  function receive(message: ToTransfer): void {
    switch (message.t) {
      case 'http':
        return track(answer(message.id, rest(message), { request_id: message.request_id }));
      case 'upload':
        return track(
          answer(
            message.id,
            metrics
              .upload('form', uploads.upload(message), ({ file_size }) => file_size)
              .then((data) => success(201, data)),
          ),
        );
      case 'put':
        return track(
          answer(
            message.id,
            metrics
              .upload('link', uploads.put(message), () => message.length ?? 0)
              .then(() => success(200, {})),
          ),
        );
      case 'chunk':
        return uploads.chunk(message);
      case 'download':
        return track(answer(message.id, content(message)));
      case 'pull':
        return downloads.pull(message);
      case 'cancel':
        uploads.cancel(message.id);
        return downloads.cancel(message.id);
      case 'cpu_done':
        return cpu.done(message);
      case 'log_level':
        log.level = message.level;
        return;
      case 'metrics':
        return void tellMetrics(message.id);
      case 'crash':
        throw new Error('crash asked for by a test');
      case 'drain':
        return void drain();
      default:
        return message satisfies never;
    }
  }

  const check = async (): Promise<void> => {
    const checked = withDeadline(storage.check(), CHECK_TIMEOUT_MS, () => new Error('late'));
    const storage_up = await checked.then(
      () => true,
      () => false,
    );
    post({ t: 'transfer_stats', storage_up });
  };
  const checks = setInterval(() => void check(), CHECK_EVERY_MS);
  void check();
  port.on('message', receive);
  await done;
  clearInterval(checks);
  await collector.close();
  storage.close();
  await db.end({ timeout: 1 });
  port.close();
}
