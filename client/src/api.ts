import type { CallOptions, Http, Page } from './http.js';
import type {
  Attachment,
  AuditEntry,
  Ban,
  DeviceSession,
  Me,
  Member,
  Message,
  MessageBody,
  MessageEdit,
  MyRoom,
  Role,
  RoomInfo,
  RoomType,
  SearchHit,
  User,
  UserStatus,
} from './types.js';

/** How much of a list, and from where: `after` or `before` is the `next` of the page before. */
export interface PageQuery extends CallOptions {
  readonly limit?: number;
  readonly after?: string | number | undefined;
}
export interface HistoryQuery extends PageQuery {
  readonly before?: string | number | undefined;
  readonly around?: string | number | undefined;
}
export interface SearchQuery extends CallOptions {
  readonly limit?: number;
  readonly before?: string | undefined;
}

type ListQuery = HistoryQuery & { readonly q?: string | undefined };

/**
 * REST, a method for each route. What a client does over its socket (send, edit, delete, react, read) is better done by a
 * `Room`: that queues, repeats and waits. @throws ParleyError
 */
export function createApi({ call, page }: Http) {
  /** The rest of a page's options is its query. */
  const list = <T>(path: string, { signal, ...query }: ListQuery = {}): Promise<Page<T>> =>
    page<T>(path, query, { signal });
  const room = (id: string, rest = ''): string => `/rooms/${id}${rest}`;
  const message = (id: string, rest = ''): string => `/messages/${id}${rest}`;
  const member = (roomId: string, userId: string): string => room(roomId, `/members/${userId}`);
  const ban = (roomId: string, userId: string): string => room(roomId, `/bans/${userId}`);
  const get = <T>(path: string, o?: CallOptions) => call<T>('GET', path, o);
  const post = <T>(path: string, body?: unknown, o?: CallOptions) => call<T>('POST', path, { body, ...o });
  const put = <T>(path: string, body?: unknown, o?: CallOptions) => call<T>('PUT', path, { body, ...o });
  const patch = <T>(path: string, body: unknown, o?: CallOptions) => call<T>('PATCH', path, { body, ...o });
  const remove = <T = void>(path: string, o?: CallOptions) => call<T>('DELETE', path, o);

  return {
    changePassword: (body: { current_password: string; new_password: string }, o?: CallOptions) =>
      post<void>('/auth/password', body, o),
    sessions: (o?: CallOptions) => get<DeviceSession[]>('/auth/sessions', o),
    endSession: (id: string, o?: CallOptions) => remove(`/auth/sessions/${id}`, o),

    me: (o?: CallOptions) => get<Me>('/users/me', o),
    updateMe: (
      body: { username?: string; avatar_url?: string | null; status?: UserStatus },
      o?: CallOptions,
    ) => patch<Me>('/users/me', body, o),
    deleteMe: (o?: CallOptions) => remove('/users/me', o),
    user: (id: string, o?: CallOptions) => get<User>(`/users/${id}`, o),
    searchUsers: (q: string, o?: PageQuery) => list<User>('/users/search', { q, ...o }),

    createRoom: (
      body: {
        type: RoomType;
        name?: string;
        description?: string | null;
        member_ids?: readonly string[];
      },
      o?: CallOptions,
    ) => post<RoomInfo>('/rooms', body, o),
    rooms: (o?: PageQuery) => list<MyRoom>('/rooms', { ...o }),
    discoverRooms: (q?: string, o?: PageQuery) => list<RoomInfo>('/rooms/discover', { q, ...o }),
    room: (id: string, o?: CallOptions) => get<RoomInfo | MyRoom>(room(id), o),
    updateRoom: (
      id: string,
      body: { name?: string; description?: string | null; slow_mode_s?: number },
      o?: CallOptions,
    ) => patch<RoomInfo | MyRoom>(room(id), body, o),
    deleteRoom: (id: string, o?: CallOptions) => remove(room(id), o),
    /** Becomes a member of a public room. */
    joinRoom: (id: string, o?: CallOptions) => post<RoomInfo | MyRoom>(room(id, '/join'), undefined, o),
    /** Ends membership. */
    leaveRoom: (id: string, o?: CallOptions) => post<void>(room(id, '/leave'), undefined, o),

    members: (id: string, o?: PageQuery) => list<Member>(room(id, '/members'), { ...o }),
    addMember: (id: string, body: { user_id: string; role?: Role }, o?: CallOptions) =>
      post<Member>(room(id, '/members'), body, o),
    updateMember: (
      id: string,
      userId: string,
      body: { role?: Role; muted_until?: string | null },
      o?: CallOptions,
    ) => patch<Member>(member(id, userId), body, o),
    removeMember: (id: string, userId: string, o?: CallOptions) => remove(member(id, userId), o),
    ban: (id: string, userId: string, reason?: string, o?: CallOptions) =>
      put<Ban>(ban(id, userId), { reason }, o),
    unban: (id: string, userId: string, o?: CallOptions) => remove(ban(id, userId), o),
    bans: (id: string, o?: PageQuery) => list<Ban>(room(id, '/bans'), { ...o }),
    audit: (id: string, o?: PageQuery) => list<AuditEntry>(room(id, '/audit'), { ...o }),

    /** Newest first, nearest to the cursor. */
    messages: (id: string, o?: HistoryQuery) => list<Message>(room(id, '/messages'), { ...o }),
    /** Give an `id` of your own to be able to repeat it. */
    sendMessage: (id: string, body: MessageBody & { id?: string }, o?: CallOptions) =>
      post<Message>(room(id, '/messages'), body, o),
    /** Words, "phrases", or, -not; newest first. */
    search: (id: string, q: string, o?: SearchQuery) =>
      list<SearchHit>(room(id, '/messages/search'), { q, ...o }),
    markRead: (id: string, seq_no: number, o?: CallOptions) => post<void>(room(id, '/read'), { seq_no }, o),
    pins: (id: string, o?: CallOptions) => get<Message[]>(room(id, '/pins'), o),
    message: (id: string, o?: CallOptions) => get<Message>(message(id), o),
    editMessage: (id: string, content: string, o?: CallOptions) =>
      patch<Message>(message(id), { content }, o),
    deleteMessage: (id: string, o?: CallOptions) => remove<Message>(message(id), o),
    edits: (id: string, o?: CallOptions) => get<MessageEdit[]>(message(id, '/edits'), o),
    /** Earliest first. */
    thread: (id: string, o?: PageQuery) => list<Message>(message(id, '/thread'), { ...o }),
    react: (id: string, emoji: string, o?: CallOptions) =>
      post<Message>(message(id, '/reactions'), { emoji }, o),
    unreact: (id: string, emoji: string, o?: CallOptions) =>
      remove<Message>(message(id, `/reactions/${encodeURIComponent(emoji)}`), o),
    pin: (id: string, o?: CallOptions) => put<Message>(message(id, '/pin'), undefined, o),
    unpin: (id: string, o?: CallOptions) => remove<Message>(message(id, '/pin'), o),
    report: (id: string, reason: string, o?: CallOptions) =>
      post<void>(message(id, '/report'), { reason }, o),

    attachment: (id: string, o?: CallOptions) => get<Attachment>(`/attachments/${id}`, o),
    deleteAttachment: (id: string, o?: CallOptions) => remove(`/attachments/${id}`, o),
  };
}

export type Api = ReturnType<typeof createApi>;
