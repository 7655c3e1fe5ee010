import { randomBytes } from 'node:crypto';
import type {
  Me,
  Member,
  Message,
  MessageEdit,
  MyRoom,
  Role,
  Room,
  SearchHit,
  Session,
} from '../../src/protocol/model.js';
import { checkAnswer } from './conformance.js';
import { must } from './deadline.js';

/** What any answer may hold (PROTOCOL §2). */
interface RestBody<T> {
  readonly success: boolean;
  readonly data?: T;
  readonly page?: { readonly has_more: boolean; readonly next: string | null };
  readonly error?: string;
  readonly code?: string;
  readonly field?: string;
  readonly retry?: boolean;
  readonly request_id?: string;
}

export interface RestAnswer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: RestBody<T>;
}

/** The `data` of register, login and refresh. */
export interface Grant {
  readonly user: Me;
  readonly token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
}

/** Somebody registered by a test. */
export interface Account {
  readonly id: string;
  readonly username: string;
  readonly email: string;
  readonly password: string;
  readonly token: string;
  readonly refreshToken: string;
}

type Query = Readonly<Record<string, string | number>>;

interface CallOptions {
  readonly token?: string | undefined;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly query?: Query | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Rest = ReturnType<typeof restClient>;

/** REST under one server's /api/v1. The shorthands answer like `call`: nothing is thrown on a refusal. */
export function restClient(serverUrl: string) {
  async function call<T = unknown>(
    method: string,
    path: string,
    options: CallOptions = {},
  ): Promise<RestAnswer<T>> {
    const url = new URL(`${serverUrl}/api/v1${path}`);
    for (const [name, value] of Object.entries(options.query ?? {}))
      url.searchParams.set(name, String(value));
    const response = await fetch(url, {
      method,
      headers: {
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
    const answer = await parseAnswer<T>(response);
    checkAnswer(method, url.pathname.slice('/api/v1'.length), response.status, answer.body);
    return answer;
  }

  return {
    call,
    get: <T>(path: string, token: string, query?: Query) => call<T>('GET', path, { token, query }),
    post: <T>(path: string, token: string, body?: unknown) => call<T>('POST', path, { token, body }),
    patch: <T>(path: string, token: string, body: unknown) => call<T>('PATCH', path, { token, body }),
    delete: <T>(path: string, token: string) => call<T>('DELETE', path, { token }),

    register: (body: unknown) => call<Grant>('POST', '/auth/register', { body }),
    login: (body: unknown) => call<Grant>('POST', '/auth/login', { body }),
    refresh: (refresh_token: string) => call<Grant>('POST', '/auth/refresh', { body: { refresh_token } }),
    logout: (token: string) => call('POST', '/auth/logout', { token }),
    sessions: (token: string) => call<Session[]>('GET', '/auth/sessions', { token }),
    createRoom: (token: string, body: unknown) => call<Room>('POST', '/rooms', { token, body }),
    getRoom: (token: string, id: string) => call<Room>('GET', `/rooms/${id}`, { token }),
    myRooms: (token: string, query?: Query) => call<MyRoom[]>('GET', '/rooms', { token, query }),
    join: (token: string, id: string) => call('POST', `/rooms/${id}/join`, { token }),
    leave: (token: string, id: string) => call('POST', `/rooms/${id}/leave`, { token }),
    members: (token: string, id: string, query?: Query) =>
      call<Member[]>('GET', `/rooms/${id}/members`, { token, query }),
    addMember: (token: string, id: string, user_id: string, role?: Role) =>
      call<Member>('POST', `/rooms/${id}/members`, { token, body: { user_id, ...(role ? { role } : {}) } }),
    patchMember: (token: string, id: string, userId: string, body: unknown) =>
      call<Member>('PATCH', `/rooms/${id}/members/${userId}`, { token, body }),
    removeMember: (token: string, id: string, userId: string) =>
      call('DELETE', `/rooms/${id}/members/${userId}`, { token }),
    send: (token: string, id: string, body: unknown) =>
      call<Message>('POST', `/rooms/${id}/messages`, { token, body }),
    messages: (token: string, id: string, query?: Query) =>
      call<Message[]>('GET', `/rooms/${id}/messages`, { token, query }),
    message: (token: string, id: string) => call<Message>('GET', `/messages/${id}`, { token }),
    edit: (token: string, id: string, content: string) =>
      call<Message>('PATCH', `/messages/${id}`, { token, body: { content } }),
    search: (token: string, id: string, query: Query) =>
      call<SearchHit[]>('GET', `/rooms/${id}/messages/search`, { token, query }),
    react: (token: string, id: string, emoji: string) =>
      call<Message>('POST', `/messages/${id}/reactions`, { token, body: { emoji } }),
    unreact: (token: string, id: string, emoji: string) =>
      call<Message>('DELETE', `/messages/${id}/reactions/${encodeURIComponent(emoji)}`, { token }),
    pin: (token: string, id: string) => call<Message>('PUT', `/messages/${id}/pin`, { token }),
    unpin: (token: string, id: string) => call<Message>('DELETE', `/messages/${id}/pin`, { token }),
    pins: (token: string, roomId: string) => call<Message[]>('GET', `/rooms/${roomId}/pins`, { token }),
    edits: (token: string, id: string) => call<MessageEdit[]>('GET', `/messages/${id}/edits`, { token }),
    thread: (token: string, id: string, query?: Query) =>
      call<Message[]>('GET', `/messages/${id}/thread`, { token, query }),
    deleteMessage: (token: string, id: string) => call<Message>('DELETE', `/messages/${id}`, { token }),
  };
}

/** Reads an answer to a request that was made otherwise. */
export async function parseAnswer<T>(response: Response): Promise<RestAnswer<T>> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: parseBody<T>(text) };
}

function parseBody<T>(text: string): RestBody<T> {
  try {
    return JSON.parse(text) as RestBody<T>;
  } catch {
    throw new Error(`not a JSON answer: ${text.slice(0, 200)}`);
  }
}

/** The data of an answer that must be a success. */
export function dataOf<T>(answer: RestAnswer<T>): T {
  if (!answer.body.success) throw new Error(`refused with ${answer.status}: ${JSON.stringify(answer.body)}`);
  return must(answer.body.data, 'data in the answer');
}

/** What a test compares of a refusal. */
export function refusalOf(answer: RestAnswer<unknown>): { status: number; code: string | undefined } {
  return { status: answer.status, code: answer.body.code };
}

/** A name that no other test uses. */
export function freshName(prefix = 'user'): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}

/** Registers somebody new. */
export async function newAccount(rest: Rest, prefix = 'user'): Promise<Account> {
  const username = freshName(prefix);
  const email = `${username}@example.org`;
  const password = `password of ${username}`;
  const grant = dataOf(await rest.register({ username, email, password }));
  return {
    id: grant.user.id,
    username,
    email,
    password,
    token: grant.token,
    refreshToken: grant.refresh_token,
  };
}

/** A public room of `owner` that `others` have joined. */
export async function newRoom(rest: Rest, owner: Account, others: readonly Account[] = []): Promise<Room> {
  const room = dataOf(await rest.createRoom(owner.token, { name: freshName('room'), type: 'public' }));
  for (const other of others) {
    const joined = await rest.join(other.token, room.id);
    if (!joined.body.success) throw new Error(`join refused: ${JSON.stringify(joined.body)}`);
  }
  return room;
}

/** A room's whole history over REST, oldest first, read page by page backwards. */
export async function wholeHistory(
  rest: Rest,
  token: string,
  roomId: string,
  limit = 100,
): Promise<Message[]> {
  const newestFirst: Message[] = [];
  let before: string | null = null;
  do {
    const answer: RestAnswer<Message[]> = await rest.messages(token, roomId, {
      limit,
      ...(before === null ? {} : { before }),
    });
    newestFirst.push(...dataOf(answer));
    const page = must(answer.body.page, 'page in a list');
    before = page.has_more ? must(page.next, 'the cursor of the next page') : null;
  } while (before !== null);
  return newestFirst.reverse();
}
