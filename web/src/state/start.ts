import {
  AuthError,
  type Client,
  type Codec,
  createApi,
  createClient,
  IndexedDBStore,
  json,
  type Outgoing,
} from '../../../client/src/index.js';
import { type App, openRoomOf, tellError, toast } from './app.js';
import { heard } from './events.js';
import { catchUp, readOwnStatus } from './refresh.js';
import { hear, loadFirst, loadRooms, takeRoom } from './rooms.js';

const ENCODING_KEY = 'parley-encoding';
const TIMELINE_MAX = 20_000; // messages that a room holds: some tens of megabytes
const RETRY_MS = 2_000; // of what is needed before anything can be shown
const SENT_AT_MAX = 100; // sends whose acknowledgement is timed

/** Shows the rooms of whoever is signed in; the log-in form where nobody is. */
export async function start(app: App): Promise<void> {
  app.me = app.session.user();
  if (app.me === null) return;
  app.phase = 'starting';
  app.render();
  await useClient(app, savedEncoding());
  for (;;) {
    try {
      app.me = (await app.api?.me()) ?? app.me;
      await loadRooms(app);
      break;
    } catch (error) {
      if (error instanceof AuthError || app.client === null) return end(app, 'Please log in again.');
      await new Promise((done) => setTimeout(done, RETRY_MS));
    }
  }
  app.phase = 'chat';
  app.render();
}

export async function signOut(app: App): Promise<void> {
  await app.session.logout().catch(() => undefined); // forgotten here all the same
  end(app, null);
}

/** Back to the log-in form. */
function end(app: App, why: string | null): void {
  app.client?.close();
  Object.assign(app, {
    client: null,
    api: null,
    me: null,
    open: null,
    panel: null,
    dialog: null,
    menu: null,
  });
  Object.assign(app.link, { state: 'connecting', connects: 0, since: null, lastCode: null, retryAt: null });
  app.rooms.clear();
  app.presence.clear();
  app.phase = 'login';
  if (why !== null) toast(app, why);
  app.render();
}

export function savedEncoding(): 'json' | 'msgpack' {
  return localStorage.getItem(ENCODING_KEY) === 'msgpack' ? 'msgpack' : 'json';
}

/** Connects in an encoding; a client that was there before leaves its unsent messages to this one. */
export async function useClient(app: App, encoding: 'json' | 'msgpack'): Promise<void> {
  const codec = await codecOf(encoding);
  localStorage.setItem(ENCODING_KEY, encoding);
  app.client?.close();
  const client = createClient({
    url: app.url,
    token: app.session.token,
    codec,
    store: new IndexedDBStore(`parley-${app.me?.id}`),
    timelineLimit: TIMELINE_MAX,
  });
  app.client = client;
  app.api = createApi(client.http);
  Object.assign(app.link, { state: 'connecting', encoding, connects: 0, since: null });
  listen(app, client);
  for (const state of app.rooms.values()) {
    state.room = client.room(state.info.id);
    state.loaded = state.complete = false;
    hear(app, state);
  }
  void client.connect().catch(() => undefined); // `signedOut` tells it
  const open = openRoomOf(app);
  if (open !== null) void loadFirst(open).catch((error: unknown) => tellError(app, error));
}

async function codecOf(encoding: 'json' | 'msgpack'): Promise<Codec> {
  if (encoding === 'json') return json;
  return (await import('../msgpack.js')).codec;
}

function listen(app: App, client: Client): void {
  const { link } = app;
  client.on('connected', () => {
    Object.assign(link, { state: 'online', since: Date.now(), retryAt: null, connects: link.connects + 1 });
    app.presence.clear(); // who is here is told anew
    void readOwnStatus(app);
    if (app.phase === 'chat') void catchUp(app); // else the rooms are being read for the first time
    app.render();
  });
  client.on('disconnected', ({ code, retryInMs }) => {
    Object.assign(link, { state: 'offline', lastCode: code, retryAt: Date.now() + retryInMs });
    app.render();
  });
  client.on('signedOut', () => app.client === client && end(app, 'This session has ended.'));
  client.on('room', (event) => app.client === client && heard(app, event));
  client.on('room_added', ({ room_id }) => void takeRoom(app, { id: room_id }).catch(() => undefined));
  client.on('outgoing', ackTimer(app));
  client.on('error', (error) => error instanceof Error && app.client === client && quietly(app, error));
}

/** Failures to connect show in the banner already. */
function quietly(app: App, error: Error): void {
  if (app.link.state === 'online') tellError(app, error);
}

function ackTimer(app: App): (outgoing: Outgoing) => void {
  const sentAt = new Map<string, number>();
  return ({ id, state }) => {
    if (state === 'sending' && sentAt.size < SENT_AT_MAX) sentAt.set(id, performance.now());
    const at = sentAt.get(id);
    if (state !== 'sending') sentAt.delete(id);
    if (state === 'sent' && at !== undefined) app.link.ackMs = performance.now() - at;
    app.render();
  };
}
