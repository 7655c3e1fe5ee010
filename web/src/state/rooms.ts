import type { Member, MyRoom, Page, RoomInfo } from '../../../client/src/index.js';
import { type App, apiOf, newDraft, type RoomState, run, tellError } from './app.js';

const PAGE = 100;
const ROOMS_MAX = 500; // what one `resume` takes
const FIRST_PAGE = 60; // messages: more than a screen
const OLDER_PAGE = 100;
const NAMED_AT_ONCE = 20; // direct rooms whose other member is asked for

/** Takes in all rooms of the person, and hears them. @returns the ids of those that are listed */
export async function loadRooms(app: App): Promise<Set<string>> {
  const { client } = app;
  const listed = new Set<string>();
  let after: string | undefined;
  for (let got = 0; got < ROOMS_MAX; got += PAGE) {
    const { items, next } = await apiOf(app).rooms({ limit: PAGE, after });
    if (app.client !== client) throw new Error('Somebody else is signed in.');
    for (const info of items) {
      putRoom(app, info);
      listed.add(info.id);
    }
    if (next === null) break;
    after = next;
  }
  const unnamed = [...app.rooms.values()].filter(
    (each) => each.info.type === 'direct' && !each.membersLoaded,
  );
  await Promise.all(unnamed.slice(0, NAMED_AT_ONCE).map((room) => loadMembers(app, room)));
  app.render();
  return listed;
}

/** Adds a room to the list and hears it, or takes in its present state. */
export function putRoom(app: App, info: MyRoom): RoomState {
  const known = app.rooms.get(info.id);
  if (known !== undefined) {
    update(app, known, info);
    return known;
  }
  if (app.client === null) throw new Error('Nobody is signed in.');
  const state: RoomState = {
    info,
    room: app.client.room(info.id),
    title: info.name ?? 'Direct message',
    members: new Map(),
    membersLoaded: false,
    membersNext: null,
    online: null,
    lastRead: info.last_read_seq,
    mentions: info.mention_count,
    newAfter: null,
    loading: false,
    loaded: false,
    complete: false,
    draft: newDraft(),
    threadDraft: newDraft(),
    threadCounts: new Map(),
    heights: new Map(),
    cursor: null,
    target: null,
    atBottom: true,
  };
  app.rooms.set(info.id, state);
  hear(app, state);
  return state;
}

/**
 * What the server counts stands where it knows of all that the page has heard and read; else what the page counts, and
 * the messages that it has yet to hear count when they come.
 */
function update(app: App, known: RoomState, info: MyRoom): void {
  const { head_seq, last_message } = known.info;
  const isCounted = info.head_seq >= head_seq && info.last_read_seq >= known.lastRead;
  known.info = isCounted ? info : { ...info, head_seq, last_message };
  known.lastRead = Math.max(known.lastRead, info.last_read_seq);
  if (isCounted) known.mentions = info.mention_count;
  known.title = info.name ?? known.title;
  if (known.room.state() === 'apart') join(app, known);
}

/** Joins the room, with the present client. */
export function hear(app: App, state: RoomState): void {
  state.room.on('change', app.render);
  join(app, state);
}

function join(app: App, state: RoomState): void {
  state.room.join().catch((error: unknown) => app.rooms.has(state.info.id) && tellError(app, error));
}

/** A room that somebody else, or this page, has just made or joined. */
export async function takeRoom(app: App, { id }: Pick<RoomInfo, 'id'>): Promise<RoomState> {
  const info = await apiOf(app).room(id);
  if (!('role' in info)) throw new Error('You have left this room again.');
  const state = putRoom(app, { ...info, last_message: info.last_message ?? null });
  if (info.type === 'direct') await loadMembers(app, state);
  app.render();
  return state;
}

/** Reads the members again, as many as were there, or the first page. */
export async function loadMembers(app: App, state: RoomState): Promise<void> {
  const wanted = state.members.size;
  const members: Member[] = [];
  let next: string | null = null;
  do {
    const page = await membersFrom(app, state, next);
    members.push(...page.items);
    next = page.next;
  } while (next !== null && members.length < wanted);
  state.members.clear();
  for (const member of members) state.members.set(member.user_id, member);
  state.membersLoaded = true;
  state.membersNext = next;
  if (state.info.type !== 'direct') return;
  const other = members.find(({ user_id }) => user_id !== app.me?.id);
  state.title = other?.username ?? state.title;
}

export async function moreMembers(app: App, state: RoomState): Promise<void> {
  const from = state.membersNext;
  const { items, next } = await membersFrom(app, state, from);
  if (state.membersNext !== from) return; // asked for twice
  for (const member of items) state.members.set(member.user_id, member);
  state.membersNext = next;
}

function membersFrom(app: App, state: RoomState, after: string | null): Promise<Page<Member>> {
  return apiOf(app).members(state.info.id, { limit: PAGE, after: after ?? undefined });
}

export function openRoom(app: App, id: string | null): void {
  const state = id === null ? undefined : app.rooms.get(id);
  app.open = state === undefined ? null : id;
  app.panel = null;
  if (state !== undefined) {
    state.newAfter = state.lastRead < state.info.head_seq ? state.lastRead : null;
    state.atBottom = true;
    if (!state.membersLoaded) run(app, () => loadMembers(app, state));
    run(app, () => loadFirst(state));
  }
  app.render();
}

/** What fills the screen; also after the client was replaced. */
export async function loadFirst(state: RoomState): Promise<void> {
  if (state.loaded || state.loading) return;
  state.loading = true;
  try {
    await state.room.join();
    const added = await state.room.loadOlder(FIRST_PAGE);
    state.complete = added < FIRST_PAGE;
    state.loaded = true;
  } finally {
    state.loading = false;
  }
}

/** @returns whether there was more */
export async function loadOlder(app: App, state: RoomState): Promise<boolean> {
  if (state.loading || state.complete || !state.loaded) return false;
  state.loading = true;
  app.render();
  try {
    const added = await state.room.loadOlder(OLDER_PAGE);
    state.complete = added < OLDER_PAGE;
    return added > 0;
  } catch (error) {
    tellError(app, error);
    return false;
  } finally {
    state.loading = false;
    app.render();
  }
}

/** Rooms in the order of their last message. */
export function sortedRooms(app: App): RoomState[] {
  const at = ({ info }: RoomState): string => info.last_message?.created_at ?? info.created_at;
  return [...app.rooms.values()].sort((a, b) => (at(a) < at(b) ? 1 : -1));
}

/** Marks all as read that the person sees. */
export function markSeen(app: App, state: RoomState): void {
  if (document.hidden || !state.atBottom || !state.loaded || app.open !== state.info.id) return;
  if (state.lastRead >= state.info.head_seq && state.mentions === 0) return;
  state.lastRead = state.info.head_seq;
  state.mentions = 0;
  state.room.markRead(state.lastRead);
  app.render();
}
