import type { Message, RoomEvent } from '../../../client/src/index.js';
import { type App, apiOf, openRoomOf, type Panel, type RoomState, run } from './app.js';

type ThreadPanel = Extract<Panel, { kind: 'thread' }>;

const PAGE = 100;
const AROUND = 30;

export function openPanel(app: App, panel: Panel | null): void {
  app.panel = panel;
  app.render();
}

/** Shows the panel, or hides it where it is shown. */
export function togglePanel(app: App, kind: 'members' | 'pins' | 'search' | 'room'): void {
  const state = openRoomOf(app);
  if (app.panel?.kind === kind || state === null) return openPanel(app, null);
  if (kind === 'search') return openPanel(app, { kind, q: '', items: null, next: null });
  if (kind === 'room') return openPanel(app, { kind, tab: 'settings', items: null, next: null });
  if (kind === 'members') return openPanel(app, { kind });
  openPanel(app, { kind, items: null });
  refreshPins(app, state);
}

/** Reads the pins again where they are shown. */
export function refreshPins(app: App, state: RoomState): void {
  const { panel } = app;
  if (panel?.kind !== 'pins' || app.open !== state.info.id) return;
  run(app, async () => {
    panel.items = await apiOf(app).pins(state.info.id);
  });
}

export function openThread(app: App, root: string): void {
  const panel: ThreadPanel = { kind: 'thread', root, items: null, next: null, upTo: 0 };
  openPanel(app, panel);
  run(app, async () => {
    const [first] = await Promise.all([apiOf(app).message(root), moreReplies(app, panel)]);
    panel.items = merge([first], panel.items ?? []);
  });
}

/** The next page of a thread's replies, the earliest first. */
export async function moreReplies(app: App, panel: ThreadPanel): Promise<void> {
  const after = panel.next;
  const { items, next } = await apiOf(app).thread(panel.root, { limit: PAGE, after: after ?? undefined });
  if (panel.next !== after) return; // asked for twice
  panel.items = merge(items, panel.items ?? []);
  panel.next = next;
  panel.upTo = Math.max(panel.upTo, items.at(-1)?.seq_no ?? 0);
}

export function openAround(app: App, state: RoomState, message: Pick<Message, 'id' | 'seq_no'>): void {
  const panel: Panel = { kind: 'around', id: message.id, items: null };
  openPanel(app, panel);
  run(app, async () => {
    const { items } = await apiOf(app).messages(state.info.id, { around: message.seq_no, limit: AROUND });
    panel.items = items.reverse();
  });
}

export async function search(app: App, state: RoomState, q: string, more = false): Promise<void> {
  const { panel } = app;
  if (panel?.kind !== 'search') return;
  panel.q = q;
  if (q.trim() === '') {
    panel.items = null;
    return;
  }
  const from = panel.next;
  const before = more ? (from ?? undefined) : undefined;
  const { items, next } = await apiOf(app).search(state.info.id, q, { limit: 30, before });
  if (panel.q !== q || (more && panel.next !== from)) return; // typed on meanwhile, or asked for twice
  panel.items = more ? [...(panel.items ?? []), ...items] : items;
  panel.next = next;
}

/** The tab's first entries, or those behind the ones that are there. */
export async function loadTab(app: App, state: RoomState, more = false): Promise<void> {
  const { panel } = app;
  if (panel?.kind !== 'room') return;
  const { tab } = panel;
  if (tab === 'settings') return;
  if (!more) Object.assign(panel, { items: null, next: null });
  const from = panel.next;
  const load = tab === 'bans' ? apiOf(app).bans : apiOf(app).audit;
  const { items, next } = await load(state.info.id, { limit: PAGE, after: from ?? undefined });
  if (panel.tab !== tab || panel.next !== from) return; // another tab meanwhile, or asked for twice
  panel.items = [...(panel.items ?? []), ...items];
  panel.next = next;
}

/** What happens to a thread that is shown. */
export function threadHeard(app: App, event: RoomEvent): void {
  const { panel } = app;
  if (panel?.kind !== 'thread' || event.room_id !== app.open) return;
  if (!('message' in event) || event.message === undefined) return;
  const message = event.message as Message;
  if (message.thread_root !== panel.root && message.id !== panel.root) return;
  panel.items = merge(panel.items ?? [], [message]);
}

/** One message each, its newest state, in order. */
function merge(...lists: readonly (readonly Message[])[]): Message[] {
  const byId = new Map<string, Message>();
  for (const message of lists.flat()) {
    const known = byId.get(message.id);
    if (known === undefined || known.rev <= message.rev) byId.set(message.id, message);
  }
  return [...byId.values()].sort((a, b) => a.seq_no - b.seq_no);
}
