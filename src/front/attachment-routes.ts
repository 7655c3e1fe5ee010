import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import type { Config } from '../config.js';
import type { Caller } from '../ipc/messages.js';
import { type Problem, problem, Refusal } from '../protocol/errors.js';
import type { AttachmentId, RoomId } from '../protocol/ids.js';
import type { AddressReader } from './client-address.js';
import { type Exchange, failureBody } from './http-exchange.js';
import { checkParams } from './http-request.js';
import type { BodyWriter } from './http-stream.js';
import type { OriginReader } from './own-origin.js';
import type { TransferAnswer, TransferEvents, TransferExchange, TransferLink } from './transfer-link.js';
import { type Dropped, linger } from './unread-body.js';

/**
 * The requests whose bodies don't fit into a message: uploads and content. The front copies bytes between sockets and
 * the transfer thread, and holds a side back while the other is slow.
 */
const FORM_MAX_BYTES = 65_536; // what a form may hold beside its file
const DOWNLOAD_WINDOW_BYTES = 256 * 1_024; // in flight to one client, beside what its socket holds

type Handler = (exchange: Exchange, res: HttpResponse, req: HttpRequest) => void;

interface Deps {
  readonly config: Config;
  readonly transfer: TransferLink;
  /** Who asks, within the limits. @throws Refusal */
  readonly admit: (authorization: string, address: string, kind: 'upload' | 'download') => Promise<Caller>;
  readonly addressOf: AddressReader;
  readonly originOf: OriginReader;
  readonly report: (exchange: Exchange, error: unknown, unread: boolean) => void;
}

export function attachmentRoutes(deps: Deps): {
  readonly upload: Handler;
  readonly put: Handler;
  readonly content: Handler;
  readonly file: Handler;
} {
  const { config, transfer } = deps;
  const { maxUploadBytes } = config.limits;

  return {
    upload(exchange, res, req) {
      const params = { roomId: req.getParameter(0) };
      const authorization = req.getHeader('authorization');
      const address = deps.addressOf(res, req.getHeader('x-forwarded-for'));
      const contentType = req.getHeader('content-type');
      const origin = deps.originOf(res, req);
      const length = lengthOf(req);
      receiveBody(exchange, res, length, maxUploadBytes + FORM_MAX_BYTES, async (events) => {
        const caller = await deps.admit(authorization, address, 'upload');
        const room_id = checkParams(params).roomId as RoomId;
        return transfer.open({ t: 'upload', room_id, caller, contentType, length, origin }, events);
      });
    },
    put(exchange, res, req) {
      const token = req.getParameter(0);
      const length = lengthOf(req);
      receiveBody(exchange, res, length, maxUploadBytes, async (events) =>
        transfer.open({ t: 'put', token, length }, events),
      );
    },
    content(exchange, res, req) {
      const params = { attachmentId: req.getParameter(0) };
      const authorization = req.getHeader('authorization');
      const address = deps.addressOf(res, req.getHeader('x-forwarded-for'));
      const asked = askedOf(req);
      sendContent(exchange, async (events) => {
        const caller = await deps.admit(authorization, address, 'download');
        const attachment_id = checkParams(params).attachmentId as AttachmentId;
        return transfer.open({ t: 'download', of: { attachment_id, caller }, ...asked }, events);
      });
    },
    file(exchange, _res, req) {
      const token = req.getParameter(0);
      const asked = askedOf(req);
      sendContent(exchange, async (events) =>
        transfer.open({ t: 'download', of: { token }, ...asked }, events),
      );
    },
  };

  /** Passes a body on while the thread has credit for it; until it has any, the socket isn't read. */
  function receiveBody(
    exchange: Exchange,
    res: HttpResponse,
    length: number | null,
    capBytes: number,
    open: (events: TransferEvents) => Promise<TransferExchange>,
  ): void {
    let under: TransferExchange | null = null;
    const early: { bytes: Uint8Array; last: boolean }[] = []; // what came with the request's head
    let credit = 0;
    let total = 0;
    let complete = false;
    let paused = true;
    res.pause();
    /** A paused socket would hear neither the next request nor the client's end of the connection. */
    const unpause = (): void => {
      if (paused && exchange.isOpen()) res.resume();
      paused = false;
    };
    let dropped: Dropped | null = null;
    const finish = (answer: (unread: boolean) => void): void => {
      unpause();
      if (complete) answer(false);
      else dropped ??= linger(answer);
    };
    const answered = (answer: TransferAnswer): void => finish((unread) => relay(exchange, answer, unread));
    const refuse = (refused: Problem): void => finish((unread) => exchange.refuse(refused, { unread }));
    exchange.whenAborted(() => under?.close());

    res.onData((chunk, last) => {
      if (!exchange.isOpen()) return;
      total += chunk.byteLength;
      credit -= chunk.byteLength;
      complete = last;
      if (dropped !== null) return dropped(chunk.byteLength, last);
      if (total > capBytes) {
        refuse(problem('payload_too_large'));
        return under?.close();
      }
      const bytes = new Uint8Array(chunk.slice(0)); // uWebSockets takes the chunk back when this returns
      if (under === null) early.push({ bytes, last });
      else under.chunk(bytes, last);
      if (credit <= 0 && !last && !paused) {
        paused = true;
        res.pause();
      }
    });

    if (length !== null && length > capBytes) return refuse(problem('payload_too_large'));
    const more = (bytes: number): void => {
      credit += bytes;
      if (credit > 0) unpause();
    };
    open({ answered, credit: more }).then(
      (opened) => {
        if (!exchange.isOpen()) return opened.close();
        under = opened;
        for (const { bytes, last } of early.splice(0)) under.chunk(bytes, last);
      },
      (error: unknown) => {
        if (error instanceof Refusal) refuse(error.problem);
        else finish((unread) => deps.report(exchange, error, unread));
      },
    );
  }

  function sendContent(
    exchange: Exchange,
    open: (events: TransferEvents) => Promise<TransferExchange>,
  ): void {
    let writer: BodyWriter | null = null;
    let under: TransferExchange | null = null;
    let left = 0;
    exchange.whenAborted(() => under?.close());
    const written = (bytes: number): void => {
      left -= bytes;
      if (left === 0) under?.close();
      else under?.pull(bytes);
    };
    const events: TransferEvents = {
      answered: (answer) => relay(exchange, answer, false),
      content({ status, headers, length }) {
        left = length;
        writer = exchange.stream({ status, headers, length, written });
        if (writer === null) under?.close();
        else under?.pull(DOWNLOAD_WINDOW_BYTES);
      },
      bytes: (bytes) => writer?.write(bytes),
      broken: () => writer?.fail(),
    };
    open(events).then(
      (opened) => {
        under = opened;
        if (!exchange.isOpen()) opened.close();
      },
      (error: unknown) => {
        if (error instanceof Refusal) exchange.refuse(error.problem);
        else deps.report(exchange, error, false);
      },
    );
  }
}

/** A success is a finished body; a failure is a Problem, which lacks the request's id. */
export function relay(exchange: Exchange, answer: TransferAnswer, unread: boolean): void {
  const { status, body, headers = [], retryAfterMs } = answer;
  if (status < 400) return exchange.answer({ status, body, headers, unread });
  const failure = JSON.parse(body) as Problem;
  exchange.answer({
    status,
    body: failureBody(failure, exchange.requestId),
    headers,
    retryAfterMs: retryAfterMs ?? failure.retry_after_ms ?? null,
    unread,
  });
}

function lengthOf(req: HttpRequest): number | null {
  const header = req.getHeader('content-length');
  return /^\d{1,15}$/.test(header) ? Number(header) : null;
}

/** What of the content is asked for. */
function askedOf(req: HttpRequest) {
  return {
    head: req.getMethod() === 'head',
    range: req.getHeader('range'),
    ifRange: req.getHeader('if-range'),
    ifNoneMatch: req.getHeader('if-none-match'),
  };
}
