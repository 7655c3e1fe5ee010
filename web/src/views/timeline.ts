import type { Message, Outgoing } from '../../../client/src/index.js';
import { h, type VNode } from '../dom/vdom.js';
import { type App, openRoomOf, type RoomState } from '../state/app.js';
import { loadOlder, markSeen } from '../state/rooms.js';
import { dayOf } from '../text/format.js';
import { messageMenu, messageView } from './message.js';
import { outgoingView } from './outgoing.js';
import { type Anchor, anchorAt, type Layout, layoutOf, scrollTopFor, totalOf, windowOf } from './virtual.js';

const BOTTOM_PX = 40; // so near is "at the end"
const OLDER_PX = 800; // older messages are loaded before their place is seen
const JUMP_ROWS = 10; // PageUp and PageDown
const GROUP_MS = 5 * 60_000; // messages of one author within that time share a head

interface Row {
  readonly id: string;
  readonly view: (attributes: Record<string, unknown>) => VNode;
}

let element: HTMLElement | null = null;
let layout: Layout = layoutOf([], new Map());
let anchor: Anchor | null = null;
let focusNext: string | null = null;
let rowsFor: { key: readonly unknown[]; rows: Row[] } | null = null;

export function timelineView(app: App, state: RoomState): VNode {
  const rows = rowsOf(app, state);
  if (element !== null && !state.atBottom && layout.ids.length > 0)
    anchor ??= anchorAt(layout, element.scrollTop);
  layout = layoutOf(
    rows.map(({ id }) => id),
    state.heights,
  );
  aim(state);
  const height = element?.clientHeight ?? innerHeight;
  const scrollTop = state.atBottom
    ? totalOf(layout) - height
    : (scrollTopFor(layout, anchor) ?? element?.scrollTop ?? 0);
  const [from, to] = windowOf(layout, scrollTop, height);
  const drawn = rows.slice(from, to);
  const stop = drawn.some(({ id }) => id === state.cursor) ? state.cursor : drawn.at(-1)?.id;
  return h(
    'div',
    {
      key: `timeline-${state.info.id}`,
      class: 'timeline',
      mounted: (mounted: HTMLElement) => {
        element = mounted;
      },
      gone: () => {
        element = null;
        anchor = null;
        layout = layoutOf([], new Map());
      },
      onscroll: () => scrolled(app, state),
    },
    h(
      'div',
      {
        role: 'list',
        'aria-label': `Messages in ${state.title}`,
        'aria-busy': state.loading,
        onkeydown: (event: KeyboardEvent) => keyed(app, state, event),
        style: {
          paddingTop: `${layout.tops[from] ?? 0}px`,
          paddingBottom: `${totalOf(layout) - (layout.tops[to] ?? 0)}px`,
        },
      },
      drawn.map(({ id, view }, i) =>
        view({
          key: id,
          role: 'listitem',
          'data-id': id,
          tabindex: id === stop ? '0' : '-1',
          'aria-posinset': from + i + 1,
          'aria-setsize': state.complete ? rows.length : -1,
          onfocus: () => {
            state.cursor = id;
          },
        }),
      ),
    ),
  );
}

/** Puts what was asked for a third below the top. */
function aim(state: RoomState): void {
  const { target } = state;
  if (target === null || !layout.index.has(target)) return;
  anchor = { id: target, above: -(element?.clientHeight ?? innerHeight) / 3 };
  state.atBottom = false;
  state.cursor = target;
  state.target = null;
  focusNext = target;
}

/** After drawing: measures rows, scrolls. @returns whether a row was of another height, so that it has to be drawn again */
export function settleTimeline(app: App): boolean {
  const state = openRoomOf(app);
  if (element === null || state === null) return false;
  let changed = false;
  for (const row of element.querySelectorAll<HTMLElement>('[data-id]')) {
    const { height } = row.getBoundingClientRect();
    const id = row.dataset.id ?? '';
    if (Math.abs((state.heights.get(id) ?? -1) - height) < 0.5) continue;
    state.heights.set(id, height);
    changed = true;
  }
  if (changed) return true;
  const top = state.atBottom ? element.scrollHeight : scrollTopFor(layout, anchor);
  if (top !== null && Math.abs(element.scrollTop - top) > 0.5) element.scrollTop = top;
  anchor = null;
  if (focusNext !== null)
    element.querySelector<HTMLElement>(`[data-id="${focusNext}"]`)?.focus({ preventScroll: true });
  focusNext = null;
  if (state.loaded && !state.complete && element.scrollHeight <= element.clientHeight)
    void loadOlder(app, state);
  markSeen(app, state);
  return false;
}

/** Another width makes other heights. */
export function forgetHeights(app: App): void {
  for (const { heights } of app.rooms.values()) heights.clear();
  app.render();
}

function scrolled(app: App, state: RoomState): void {
  if (element === null) return;
  const { scrollTop, scrollHeight, clientHeight } = element;
  state.atBottom = scrollHeight - scrollTop - clientHeight < BOTTOM_PX;
  if (scrollTop < OLDER_PX) void loadOlder(app, state);
  app.render();
}

function keyed(app: App, state: RoomState, event: KeyboardEvent): void {
  const row = (event.target as HTMLElement).dataset.id;
  if (row === undefined) return; // in a button or link of the row
  const at = layout.index.get(row) ?? 0;
  const last = layout.ids.length - 1;
  if (event.key === 'Enter') {
    event.preventDefault();
    const message = state.room.messages().find(({ id }) => id === row);
    if (message !== undefined) messageMenu(app, state, message, event.target as HTMLElement);
    return;
  }
  const moves: Record<string, number> = {
    ArrowUp: at - 1,
    ArrowDown: at + 1,
    PageUp: at - JUMP_ROWS,
    PageDown: at + JUMP_ROWS,
    Home: 0,
    End: last,
  };
  const to = moves[event.key];
  if (to === undefined) return;
  event.preventDefault();
  goTo(app, state, Math.max(0, Math.min(to, last)));
}

/** Moves the keyboard to a row, and scrolls as little as shows it. */
function goTo(app: App, state: RoomState, row: number): void {
  const id = layout.ids[row];
  if (element === null || id === undefined) return;
  const [top, bottom] = [layout.tops[row] ?? 0, layout.tops[row + 1] ?? 0];
  const { scrollTop, clientHeight } = element;
  if (top < scrollTop) anchor = { id, above: 0 };
  else if (bottom > scrollTop + clientHeight) anchor = { id, above: bottom - top - clientHeight };
  if (anchor !== null) state.atBottom = row === layout.ids.length - 1;
  state.cursor = focusNext = id;
  if (row === 0) void loadOlder(app, state);
  app.render();
}

/** The rows in order; the same until a message changes. */
function rowsOf(app: App, state: RoomState): Row[] {
  const messages = state.room.messages();
  const pending = state.room.pending();
  const key = [state, messages, state.newAfter, ...pending.flatMap((each) => [each, each.state])];
  if (rowsFor !== null && same(rowsFor.key, key)) return rowsFor.rows;
  const rows = [
    ...messages.map((message, i) => messageRow(app, state, message, messages[i - 1])),
    ...pending.map((outgoing) => pendingRow(app, state, outgoing)),
  ];
  rowsFor = { key, rows };
  return rows;
}

function same(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}

function messageRow(app: App, state: RoomState, message: Message, before: Message | undefined): Row {
  const newDay = before === undefined || dayKey(before) !== dayKey(message);
  const isNew = state.newAfter !== null && message.seq_no === state.newAfter + 1;
  const grouped =
    !newDay &&
    !isNew &&
    message.reply_to === null &&
    before.user_id === message.user_id &&
    Date.parse(message.created_at) - Date.parse(before.created_at) < GROUP_MS;
  return {
    id: message.id,
    view: (attributes) =>
      h(
        'div',
        { ...attributes, class: 'row' },
        newDay && h('p', { class: 'day' }, h('span', null, dayOf(message.created_at))),
        isNew && h('p', { class: 'day new' }, h('span', null, 'New')),
        messageView(app, state, message, { grouped }),
      ),
  };
}

function dayKey({ created_at }: Message): string {
  return new Date(created_at).toDateString();
}

function pendingRow(app: App, state: RoomState, outgoing: Outgoing): Row {
  return {
    id: outgoing.id,
    view: (attributes) => h('div', { ...attributes, class: 'row' }, outgoingView(app, state, outgoing)),
  };
}
