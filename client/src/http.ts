import { AuthError, errorOf, localError } from './errors.js';
import { abortable } from './waiting.js';

/**
 * Gives an access token. `refused` is the token that the server has just refused as expired or unknown: give another, or
 * reject with an {@link AuthError} when there is none; the client is signed out then. Any other rejection is tried again.
 */
export type TokenProvider = (refused?: string) => Promise<string>;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export type Query = Readonly<Record<string, string | number | undefined>>;

export interface HttpRequest extends CallOptions {
  readonly body?: unknown;
  readonly query?: Query;
}

/** One page of a list; `next` goes into the parameter that was used, and is null at the end. */
export interface Page<T> {
  readonly items: T[];
  readonly next: string | null;
}

interface Answer<T> {
  readonly data: T;
  readonly page?: { readonly has_more: boolean; readonly next: string | null };
}

export interface HttpOptions {
  /** Where the server is: `https://chat.example.org`. */
  readonly url: string;
  /** null: without a token. */
  readonly token: TokenProvider | null;
  readonly fetch?: typeof fetch;
}

/** REST under one server's /api/v1. @throws ParleyError of the answer's code; ConnectionError without an answer */
export interface Http {
  readonly base: string;
  readonly call: <T>(method: string, path: string, request?: HttpRequest) => Promise<T>;
  readonly page: <T>(path: string, query?: Query, options?: CallOptions) => Promise<Page<T>>;
  /** Runs `attempt` with a token, and once more with another where the server refuses that one. */
  readonly authorized: <T>(attempt: (token: string) => Promise<T>, options?: CallOptions) => Promise<T>;
}

export function createHttp({ url, token: provider, fetch: fetchNow = fetch }: HttpOptions): Http {
  const base = `${url.replace(/\/+$/, '')}/api/v1`;

  async function attempt<T>(
    method: string,
    path: string,
    { body, query = {}, signal }: HttpRequest,
    token: string | null,
  ): Promise<Answer<T>> {
    const params = Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)]],
    );
    const search = params.length === 0 ? '' : `?${new URLSearchParams(params)}`;
    const form = body instanceof FormData;
    const headers: Record<string, string> = {};
    if (token !== null) headers.authorization = `Bearer ${token}`;
    if (body !== undefined && !form) headers['content-type'] = 'application/json';
    const response = await fetchNow(`${base}${path}${search}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: form ? body : JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    }).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw localError('disconnected', String(error));
    });
    const text = await response.text().catch((error: unknown) => {
      signal?.throwIfAborted();
      throw localError('disconnected', String(error));
    });
    return answerOf(response.status, text, response.headers.get('retry-after'));
  }

  async function authorized<T>(run: (token: string) => Promise<T>, { signal }: CallOptions = {}): Promise<T> {
    if (provider === null) throw localError('signed_out', 'Nobody is signed in.');
    const token = await abortable(provider(), signal);
    try {
      return await run(token);
    } catch (error) {
      if (!isTokenRefused(error)) throw error;
      return run(await abortable(provider(token), signal));
    }
  }

  const send = <T>(method: string, path: string, request: HttpRequest = {}): Promise<Answer<T>> =>
    provider === null
      ? attempt(method, path, request, null)
      : authorized((token) => attempt<T>(method, path, request, token), request);

  return {
    base,
    authorized,
    call: async <T>(method: string, path: string, request?: HttpRequest) =>
      (await send<T>(method, path, request)).data,
    page: async <T>(path: string, query: Query = {}, options: CallOptions = {}) => {
      const { data, page } = await send<T[]>('GET', path, { query, ...options });
      return { items: data, next: page?.has_more === true ? page.next : null };
    },
  };
}

/** A token that another may replace, unlike a wrong password or a refresh token used twice. */
function isTokenRefused(error: unknown): boolean {
  return error instanceof AuthError && (error.code === 'unauthenticated' || error.code === 'token_expired');
}

/** The body of an answer. @throws ParleyError where it is a failure, or something that isn't Parley answered */
export function answerOf<T>(status: number, text: string, retryAfter: string | null): Answer<T> {
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // a proxy's page: its status says what it can
  }
  if (status < 300 && body.success === true) return body as unknown as Answer<T>;
  const seconds = Number(retryAfter ?? Number.NaN);
  throw errorOf({
    code: status === 429 ? 'rate_limited' : status >= 500 ? 'unavailable' : 'bad_request',
    error: `HTTP status ${status}`,
    retry: status === 429 || status >= 500,
    retry_after_ms: Number.isFinite(seconds) ? seconds * 1000 : undefined,
    ...body,
  });
}
