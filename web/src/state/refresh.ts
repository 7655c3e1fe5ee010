import { AuthError, ForbiddenError, NotFoundError } from '../../../client/src/index.js';
import { type App, apiOf, openRoomOf, type RoomState } from './app.js';
import { lose, setPresence } from './events.js';
import { refreshPins } from './panels.js';
import { loadMembers, loadRooms } from './rooms.js';

const RETRY_MS = 2_000;
const LOOK_AGAIN_MS = 5_000; // at least between two readings because the page is looked at
const STATUS_MS = 2_000; // until the server has read, after connecting, how a user wants to be shown
const STATUS_READS = 3;

let lookedAt = Number.NEGATIVE_INFINITY;
let isLookPlanned = false;

/**
 * Reads what no room's log holds, and what was therefore missed while there was no connection: which rooms there are,
 * their settings, mentions, members and pins. Tried until it is read, or the connection is another.
 */
export async function catchUp(app: App): Promise<void> {
  const isCurrent = sameConnection(app);
  while (isCurrent()) {
    try {
      return await readAgain(app, isCurrent);
    } catch (error) {
      if (error instanceof AuthError) return; // the client is told too, and ends
      await pause(RETRY_MS);
    }
  }
}

/** A room that this person joined on another device is told to nobody: the rooms are read when the page is looked at. */
export function lookAgain(app: App): void {
  if (document.hidden || app.phase !== 'chat' || isLookPlanned) return;
  isLookPlanned = true;
  const look = (): void => {
    isLookPlanned = false;
    lookedAt = performance.now();
    void catchUp(app);
  };
  setTimeout(look, Math.max(0, lookedAt + LOOK_AGAIN_MS - performance.now()));
}

/** Rooms tell how their members are shown; this is for whoever is in none. */
export async function readOwnStatus(app: App): Promise<void> {
  const isCurrent = sameConnection(app);
  for (let read = 0; read < STATUS_READS; read++) {
    await pause(STATUS_MS);
    if (!isCurrent() || app.me === null || app.presence.has(app.me.id)) return;
    const me = await apiOf(app)
      .me()
      .catch(() => null); // read once more
    if (me === null || me.status === 'offline' || !isCurrent()) continue;
    setPresence(app, me.id, me.status);
    app.render();
  }
}

async function readAgain(app: App, isCurrent: () => boolean): Promise<void> {
  const before = [...app.rooms.values()];
  for (const state of before) if (state.info.type !== 'direct') state.membersLoaded = false;
  const me = await apiOf(app).me();
  if (!isCurrent()) return;
  app.me = me;
  const listed = await loadRooms(app);
  for (const state of before) if (!listed.has(state.info.id)) await dropIfGone(app, state);
  const open = openRoomOf(app);
  if (open === null) return;
  await loadMembers(app, open);
  refreshPins(app, open);
  app.render();
}

/** A room can be missing in the list because it moved to another page of it meanwhile. */
async function dropIfGone(app: App, state: RoomState): Promise<void> {
  const { id } = state.info;
  const isMember = await apiOf(app)
    .room(id)
    .then(
      (info) => 'role' in info,
      (error: unknown) => {
        if (error instanceof NotFoundError || error instanceof ForbiddenError) return false;
        throw error;
      },
    );
  if (!isMember && app.rooms.get(id) === state)
    lose(app, state, `You are no member of ${state.title} any more.`);
}

/** @returns whether the app still has the connection of now */
function sameConnection(app: App): () => boolean {
  const { client, link } = app;
  const { connects } = link;
  return () => app.client === client && link.state === 'online' && link.connects === connects;
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
