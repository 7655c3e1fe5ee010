import type { Member, Message, RoomEvent, RoomInfo, UserStatus } from '../../../client/src/index.js';
import { type App, type RoomState, toast } from './app.js';
import { refreshPins, threadHeard } from './panels.js';
import { markSeen } from './rooms.js';

/** An event of a room that the protocol has, with what the client's types leave open. */
interface Told {
  readonly type: string;
  readonly user_id?: string;
  readonly username?: string;
  readonly seq_no?: number;
  readonly status?: UserStatus;
  readonly online?: number;
  readonly users?: readonly { user_id: string; status: UserStatus }[];
  readonly member?: Member;
  readonly room?: RoomInfo;
  readonly reason?: string;
}

const PRESENCE_MAX = 5_000; // people whose dots are remembered

/** Takes an event of a joined room into the state. The messages themselves are in the room's timeline. */
export function heard(app: App, event: RoomEvent): void {
  const state = app.rooms.get(event.room_id);
  if (state === undefined) return;
  if (event.type === 'new_message') newMessage(app, state, event.message, event.live);
  else if (event.type === 'message_pinned' || event.type === 'message_unpinned') refreshPins(app, state);
  else told(app, state, event as unknown as Told);
  threadHeard(app, event);
  app.render();
}

function newMessage(app: App, state: RoomState, message: Message, live: boolean): void {
  const { info } = state;
  state.info = { ...info, head_seq: Math.max(info.head_seq, message.seq_no), last_message: message };
  if (message.thread_root !== null) countReply(state, message.thread_root);
  const own = message.user_id === app.me?.id;
  if (own && live && state.lastRead >= info.head_seq) state.lastRead = message.seq_no;
  else if (!own && message.seq_no > info.head_seq && message.mentions.includes(app.me?.id ?? ''))
    state.mentions++; // else the server has counted it
  if (own) state.newAfter = null;
  markSeen(app, state);
  if (app.open === info.id && !own) app.announcement = `${message.username}: ${message.content}`;
}

function countReply(state: RoomState, root: string): void {
  const message = messageOf(state, root);
  const known = state.threadCounts.get(root) ?? message?.thread_count;
  if (known !== undefined) state.threadCounts.set(root, known + 1);
}

function told(app: App, state: RoomState, event: Told): void {
  const { user_id = '' } = event;
  switch (event.type) {
    case 'user_online':
      renamed(app, state, event);
      return setPresence(app, user_id, event.status ?? 'online');
    case 'user_offline':
      return setPresence(app, user_id, 'offline');
    case 'presence':
      for (const each of event.users ?? []) setPresence(app, each.user_id, each.status);
      return;
    case 'presence_count':
      state.online = event.online ?? null;
      return;
    case 'read_receipt':
      return readUpTo(app, state, user_id, event.seq_no ?? 0);
    case 'member_joined':
    case 'member_updated':
      return memberChanged(app, state, event);
    case 'member_left':
      if (user_id === app.me?.id) return lose(app, state, null); // on another device
      state.members.delete(user_id);
      state.info = { ...state.info, member_count: state.info.member_count - 1 };
      return;
    case 'room_updated':
      state.info = { ...state.info, ...event.room, head_seq: state.info.head_seq };
      state.title = state.info.name ?? state.title;
      return;
    case 'room_deleted':
      return lose(app, state, `${state.title} was deleted.`);
    case 'removed_from_room':
      return lose(app, state, `You are no member of ${state.title} any more.`);
  }
}

export function setPresence(app: App, userId: string, status: UserStatus): void {
  const { presence, me } = app;
  if (presence.size < PRESENCE_MAX || presence.has(userId) || userId === me?.id) presence.set(userId, status);
}

/** Who has another name since is told of as online anew. */
function renamed(app: App, state: RoomState, { user_id = '', username }: Told): void {
  const member = state.members.get(user_id);
  if (username === undefined || member === undefined || member.username === username) return;
  state.members.set(user_id, { ...member, username });
  if (state.info.type === 'direct' && user_id !== app.me?.id) state.title = username;
}

function readUpTo(app: App, state: RoomState, userId: string, seq: number): void {
  const member = state.members.get(userId);
  if (member !== undefined && member.last_read_seq < seq) {
    state.members.set(userId, { ...member, last_read_seq: seq });
  }
  if (userId !== app.me?.id) return;
  state.lastRead = Math.max(state.lastRead, seq);
  if (state.lastRead >= state.info.head_seq) state.mentions = 0;
}

function memberChanged(app: App, state: RoomState, { type, member }: Told): void {
  if (member === undefined) return;
  const { info } = state;
  const isNew = type === 'member_joined' && !state.members.has(member.user_id);
  state.members.set(member.user_id, member);
  if (isNew) state.info = { ...info, member_count: info.member_count + 1 };
  if (member.user_id === app.me?.id) state.info = { ...state.info, role: member.role };
}

export function lose(app: App, state: RoomState, why: string | null): void {
  app.rooms.delete(state.info.id);
  state.room.leave(); // joined again later, it has to be heard anew
  if (app.open === state.info.id) {
    app.open = null;
    app.panel = null;
  }
  if (why !== null) toast(app, why);
}

const indexes = new WeakMap<readonly Message[], Map<string, Message>>();

/** A message that the room's timeline holds. */
export function messageOf(state: RoomState, id: string): Message | undefined {
  const messages = state.room.messages();
  let index = indexes.get(messages);
  if (index === undefined) {
    index = new Map(messages.map((message) => [message.id, message]));
    indexes.set(messages, index);
  }
  return index.get(id);
}
