import { AuthError, localError } from './errors.js';
import { type CallOptions, createHttp, type HttpOptions, type TokenProvider } from './http.js';
import type { Grant, Me } from './types.js';

/** What keeps somebody signed in; `refresh_at`, in epoch milliseconds, is when the token wants to be replaced. */
export interface Tokens {
  readonly user: Me;
  readonly token: string;
  readonly refresh_token: string;
  readonly refresh_at: number;
}

export interface SessionOptions extends Pick<HttpOptions, 'url' | 'fetch'> {
  /** What `save` was last given, to stay signed in over a reload. */
  readonly tokens?: Tokens | null;
  /**
   * Called with each new pair and, at the end, with null. A refresh token works once: what is used later has to be the
   * newest, so a promise is waited for.
   */
  readonly save?: (tokens: Tokens | null) => void | Promise<void>;
}

/** A name and a password, turned into tokens that are refreshed in time, one refresh at a time. */
export interface Session {
  readonly token: TokenProvider;
  readonly user: () => Me | null;
  readonly register: (
    body: { username: string; email: string; password: string },
    options?: CallOptions,
  ) => Promise<Me>;
  readonly login: (
    body: { email: string; password: string; device?: string },
    options?: CallOptions,
  ) => Promise<Me>;
  /** Ends the session everywhere; this side forgets it even where the server can't be reached. */
  readonly logout: (options?: CallOptions) => Promise<void>;
}

const EARLY_MS = 30_000; // refreshed this long before its end, so that no request meets it

export function createSession(options: SessionOptions): Session {
  const open = createHttp({ ...options, token: null });
  let tokens = options.tokens ?? null;
  let refreshing: Promise<string> | null = null;

  const keep = async (next: Tokens | null): Promise<void> => {
    tokens = next;
    await options.save?.(next);
  };
  const granted = async (grant: Grant): Promise<Me> => {
    const { user, token, refresh_token, expires_in } = grant;
    const lifeMs = expires_in * 1000;
    const refresh_at = Date.now() + Math.max(lifeMs / 2, lifeMs - EARLY_MS);
    await keep({ user, token, refresh_token, refresh_at });
    return user;
  };
  const refresh = async ({ refresh_token }: Tokens): Promise<string> => {
    try {
      const grant = await open.call<Grant>('POST', '/auth/refresh', { body: { refresh_token } });
      if (tokens?.refresh_token === refresh_token) await granted(grant);
      return grant.token;
    } catch (error) {
      if (error instanceof AuthError && tokens?.refresh_token === refresh_token) await keep(null);
      throw error;
    }
  };
  const token: TokenProvider = async (refused) => {
    if (tokens === null) throw localError('signed_out', 'Nobody is signed in.');
    if (tokens.token !== refused && tokens.refresh_at > Date.now()) return tokens.token;
    refreshing ??= refresh(tokens).finally(() => {
      refreshing = null;
    });
    return refreshing;
  };

  return {
    token,
    user: () => tokens?.user ?? null,
    register: async (body, call) => granted(await open.call('POST', '/auth/register', { body, ...call })),
    login: async (body, call) => granted(await open.call('POST', '/auth/login', { body, ...call })),
    logout: async (call) => {
      const http = createHttp({ ...options, token });
      try {
        if (tokens !== null) await http.call('POST', '/auth/logout', call);
      } catch (error) {
        if (!(error instanceof AuthError)) throw error; // signed out already
      } finally {
        await keep(null);
      }
    },
  };
}
