import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import { STATUS_CODES } from 'node:http';
import { v4 } from 'uuid';
import { ERRORS, type ErrorCode, type Problem, problem } from '../protocol/errors.js';
import { type AnswerPolicy, DATA_POLICY } from './answer-policy.js';
import { limitKey } from './client-address.js';
import type { Header } from './cors.js';
import { type BodyWriter, bodyWriter } from './http-stream.js';
import { SMALL_BYTES } from './unread-answers.js';

/**
 * One request and its one answer:
 *
 *   open ──answer──▶ closed      further answers are dropped
 *     └───abort────▶ closed      the client is gone; uWebSockets forbids touching the response from here on
 */
export interface Exchange {
  readonly requestId: string;
  /** False once answered or aborted. */
  isOpen(): boolean;
  /** Calls back once if the client goes away before the answer. */
  whenAborted(then: () => void): void;
  /** Calls back when the answer goes out, with the code of its error or `ok`; once. */
  whenAnswered(then: (code: string) => void): void;
  /** Sends the answer, unless the exchange is closed; `overloaded` instead where too much is held for its client. */
  answer(answer: Answer): void;
  /** Answers with an error of the catalogue (PROTOCOL §2). */
  refuse(problem: Problem, extra?: Omit<Answer, 'status' | 'body' | 'code'>): void;
  /** Begins an answer whose body of `length` bytes follows; null where it has none (HEAD, 304), or the exchange is closed. */
  stream(head: StreamHead): BodyWriter | null;
}

export interface StreamHead {
  readonly status: number;
  readonly headers: readonly Header[];
  readonly length: number;
  /** Hears of the bytes that have gone out, so that as many may be written after them. */
  readonly written: (bytes: number) => void;
}

export interface Answer {
  readonly status: number;
  /** JSON; null is no body at all (204). */
  readonly body: string | Uint8Array | null;
  readonly headers?: readonly Header[];
  /** JSON unless said. */
  readonly contentType?: string;
  /** Nothing is kept unless said. */
  readonly cacheControl?: string;
  readonly retryAfterMs?: number | null;
  /** Of the error that `body` tells of. */
  readonly code?: ErrorCode;
  /** Closes the connection at once after the answer, which a client that still sends may then not see. */
  readonly close?: boolean;
  /**
   * The rest of the request's body won't be read: the connection ends with the answer. It is left to the client, or to
   * uWebSockets' idle timeout, to close it: what is closed with unread bytes is reset, and takes the answer with it.
   */
  readonly unread?: boolean;
}

const NO_REFERRER: Header = ['referrer-policy', 'no-referrer'];
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
const RETRY_AFTER_DEFAULT_MS = 1_000;

/** Opens an exchange. Call it first and synchronously in the handler: it registers for the client's going away. */
export function openExchange(res: HttpResponse, req: HttpRequest, policy: AnswerPolicy): Exchange {
  const { cors, always, unread: unreadAnswers } = policy;
  let open = true;
  let writer: BodyWriter | null = null;
  let letGo: (() => void) | null = null; // of what is held of the answer
  let onAbort: (() => void) | null = null;
  let onAnswer: ((code: string) => void) | null = null;
  res.onAborted(() => {
    open = false;
    if (letGo !== null) return letGo();
    writer?.aborted();
    onAbort?.();
  });
  const givenId = req.getHeader('x-request-id');
  const requestId = REQUEST_ID.test(givenId) ? givenId : v4();
  const isHead = req.getMethod() === 'head';
  const forwardedFor = req.getHeader('x-forwarded-for');
  const address = (): string => limitKey(policy.addressOf(res, forwardedFor));
  const corsHeaders = cors.headers(req.getHeader('origin'), req.getHeader('host'));

  const answer = ({
    status,
    body,
    headers = [],
    contentType,
    cacheControl,
    retryAfterMs,
    code,
    close = false,
    unread = false,
  }: Answer): void => {
    if (!open) return;
    const bytes = body === null || isHead ? 0 : Buffer.byteLength(body);
    if (bytes > SMALL_BYTES && !unreadAnswers.hasRoom(address(), bytes)) return refuse(problem('overloaded'));
    open = false;
    onAnswer?.(code ?? 'ok');
    if (unread) res.pause();
    res.cork(() => {
      res.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`);
      if (unread) res.writeHeader('connection', 'close');
      res.writeHeader('x-request-id', requestId);
      res.writeHeader('cache-control', cacheControl ?? 'no-store');
      const policy = headers.some(([name]) => name === DATA_POLICY[0]) ? [] : [DATA_POLICY, NO_REFERRER];
      for (const [name, value] of [...always, ...policy, ...corsHeaders, ...headers]) {
        res.writeHeader(name, value);
      }
      if (status === 429 || status === 503) {
        const seconds = Math.ceil((retryAfterMs ?? RETRY_AFTER_DEFAULT_MS) / 1_000);
        res.writeHeader('retry-after', String(Math.max(1, seconds)));
      }
      if (status === 401) res.writeHeader('www-authenticate', 'Bearer');
      if (body === null) {
        // Without arguments: an undefined length would be sent as 2^63.
        res.endWithoutBody();
        return;
      }
      res.writeHeader('content-type', contentType ?? 'application/json; charset=utf-8');
      if (isHead) {
        // Given the length as an argument, uWebSockets takes the answer for unfinished and drops the next request.
        res.writeHeader('content-length', String(Buffer.byteLength(body)));
        res.endWithoutBody();
      } else if (close || unread) res.end(body, close);
      else letGo = unreadAnswers.end(res, body, address);
    });
  };
  const refuse: Exchange['refuse'] = (why, extra = {}) =>
    answer({
      retryAfterMs: why.retry_after_ms ?? null,
      ...extra,
      status: ERRORS[why.code].status,
      code: why.code,
      body: failureBody(why, requestId),
    });

  return {
    requestId,
    isOpen: () => open,
    whenAborted: (then) => {
      onAbort = then;
    },
    whenAnswered: (then) => {
      onAnswer = then;
    },
    answer,
    stream({ status, headers, length, written }) {
      if (!open) return null;
      open = false;
      onAnswer?.(String(status));
      const isBodyless = isHead || status === 304;
      res.cork(() => {
        res.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`);
        res.writeHeader('x-request-id', requestId);
        for (const [name, value] of [...always, ...corsHeaders, ...headers]) res.writeHeader(name, value);
        if (isHead) res.writeHeader('content-length', String(length));
        if (isBodyless) res.endWithoutBody();
      });
      if (isBodyless) return null;
      writer = bodyWriter(res, length, written);
      return writer;
    },
    refuse,
  };
}

/** The body of a failed answer; `data` only for health answers. */
export function failureBody(problem: Problem, requestId: string, data?: unknown): string {
  const { error, code, field, retry, retry_after_ms } = problem;
  return JSON.stringify({
    success: false,
    error,
    code,
    field,
    retry,
    request_id: requestId,
    retry_after_ms,
    data,
  });
}
