import { createSession, type Session, type TokenProvider, type Tokens } from '../../../client/src/index.js';

const KEY = 'parley-tokens';

export interface StoredSession extends Pick<Session, 'token' | 'user' | 'register' | 'login' | 'logout'> {
  readonly token: TokenProvider;
}

/**
 * A session in localStorage, one for all tabs: a refresh token works once, so only one tab refreshes at a time, and the
 * others take what it got.
 */
export function storedSession(url: string): StoredSession {
  let kept = localStorage.getItem(KEY);
  let current = make(kept);

  function make(text: string | null): Session {
    return createSession({ url, tokens: tokensOf(text), save });
  }
  function save(tokens: Tokens | null): void {
    kept = tokens === null ? null : JSON.stringify(tokens);
    if (kept === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, kept);
  }
  function adopt(): void {
    const stored = localStorage.getItem(KEY);
    if (stored === kept) return;
    kept = stored;
    current = make(stored);
  }
  return {
    token: (refused) =>
      alone(() => {
        adopt();
        return current.token(refused);
      }),
    user: () => current.user(),
    register: (body, options) => current.register(body, options),
    login: (body, options) => current.login(body, options),
    logout: (options) => current.logout(options),
  };
}

function tokensOf(text: string | null): Tokens | null {
  try {
    return text === null ? null : (JSON.parse(text) as Tokens);
  } catch {
    return null; // not written by this page
  }
}

/** Pages without TLS have no locks, but for those of this machine. */
function alone<T>(run: () => Promise<T>): Promise<T> {
  const locks = (navigator as { locks?: LockManager }).locks;
  return locks === undefined ? run() : (locks.request(KEY, run) as Promise<T>);
}
