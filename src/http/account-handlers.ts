import type { Accounts, SignedIn } from '../auth/accounts.js';
import type { SessionId, UserId } from '../protocol/ids.js';
import type { LoginBody, PasswordBody, RefreshBody, RegisterBody } from '../protocol/requests.js';
import type { RouteName } from './routes.js';
import { callerOf, type HttpAnswer, type HttpHandler } from './types.js';

const DEVICE_MAX_CODE_POINTS = 200; // as sessions.device in migration 000001

type AccountRoute = Extract<
  RouteName,
  | 'register'
  | 'login'
  | 'refresh'
  | 'logout'
  | 'change_password'
  | 'list_sessions'
  | 'end_session'
  | 'get_me'
  | 'get_user'
>;

const ok = (data: unknown): HttpAnswer => ({ status: 200, data });

/**
 * The handlers of accounts and sessions (PROTOCOL §2). They take bodies as checked against their route's
 * schema. What they throw beside Refusals is the store's `StoreUnavailable`.
 */
export function accountHandlers(accounts: Accounts): Record<AccountRoute, HttpHandler> {
  return {
    async register(call) {
      const signedIn: SignedIn = await accounts.register(call.body as RegisterBody, deviceOf(call.userAgent));
      return { status: 201, data: signedIn };
    },

    async login(call) {
      const { email, password, device } = call.body as LoginBody;
      return ok(await accounts.login({ email, password }, deviceOf(device ?? call.userAgent)));
    },

    async refresh(call) {
      return ok(await accounts.refresh((call.body as RefreshBody).refresh_token));
    },

    async logout(call) {
      await accounts.logout(callerOf(call));
      return ok({});
    },

    async change_password(call) {
      await accounts.changePassword(callerOf(call), call.body as PasswordBody);
      return ok({});
    },

    /** The list is never cut into pages: it holds the 100 sessions used last. */
    async list_sessions(call) {
      const sessions = await accounts.listSessions(callerOf(call));
      return { ...ok(sessions), page: { has_more: false, next: null } };
    },

    async end_session(call) {
      await accounts.endSession(callerOf(call), call.params.sessionId as SessionId);
      return ok({});
    },

    async get_me(call) {
      return ok(await accounts.me(callerOf(call)));
    },

    async get_user(call) {
      callerOf(call);
      return ok(await accounts.user(call.params.userId as UserId));
    },
  };
}

/** A label for the device list: cut, without U+0000 (which a text column refuses); null for none. */
function deviceOf(text: string): string | null {
  const codePoints = Array.from(text.slice(0, 2 * DEVICE_MAX_CODE_POINTS));
  const label = codePoints.slice(0, DEVICE_MAX_CODE_POINTS).join('').replaceAll('\u0000', '');
  return label === '' ? null : label;
}
