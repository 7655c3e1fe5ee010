/** The package's public side. Each part stands alone: what isn't imported isn't bundled. */
export { type Api, createApi, type HistoryQuery, type PageQuery, type SearchQuery } from './api.js';
export { type Client, type ClientEvents, type ClientOptions, createClient } from './client.js';
export { type Codec, type Frame, json, type Msgpackr, msgpack } from './codec.js';
export type { Welcome } from './connection.js';
export type { Off } from './emitter.js';
export {
  AuthError,
  ConflictError,
  ConnectionError,
  type ErrorCode,
  ForbiddenError,
  NotFoundError,
  ParleyError,
  RateLimitError,
} from './errors.js';
export type {
  LogEvent,
  MemberJoined,
  MemberLeft,
  MemberUpdated,
  MessageDeleted,
  MessagePinned,
  MessageUnpinned,
  MessageUpdated,
  NewMessage,
  Passing,
  Presence,
  PresenceCount,
  Reacted,
  ReadReceipt,
  RemovedFromRoom,
  Reset,
  RoomDeleted,
  RoomEvent,
  RoomEvents,
  RoomUpdated,
  UserOffline,
  UserOnline,
  UserTyping,
} from './events.js';
export { type HistoryOptions, history, paged, search } from './history.js';
export { type CallOptions, createHttp, type Http, type Page, type TokenProvider } from './http.js';
export type { Outgoing, OutgoingState } from './outbox.js';
export { IndexedDBStore, MemoryStore, type OutboxEntry, type OutboxStore } from './outbox-stores.js';
export type { EventsOptions, Room } from './room.js';
export type { Position } from './room-stream.js';
export { createSession, type Session, type SessionOptions, type Tokens } from './session.js';
export type * from './types.js';
export { type UploadOptions, upload } from './upload.js';
export type { BackoffOptions } from './waiting.js';
