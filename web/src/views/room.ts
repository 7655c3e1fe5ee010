import { button, dot } from '../dom/parts.js';
import { type Child, h, type VNode } from '../dom/vdom.js';
import { type App, openRoomOf, type RoomState, statusOf } from '../state/app.js';
import { addFiles } from '../state/compose.js';
import { openPanel, togglePanel } from '../state/panels.js';
import { openRoom } from '../state/rooms.js';
import { namesOf } from '../text/format.js';
import { composerView } from './composer.js';
import { membersPanel } from './members.js';
import { aroundPanel, pinsPanel, searchPanel, threadPanel } from './message-panels.js';
import { roomPanel } from './room-panel.js';
import { timelineView } from './timeline.js';

let dragging = false;

export function roomView(app: App, state: RoomState): Child[] {
  return [
    h(
      'main',
      {
        key: 'room',
        class: dragging ? 'room-main dragging' : 'room-main',
        'aria-label': state.title,
        ondragover: (event: DragEvent) => drag(app, event, true),
        ondragleave: (event: DragEvent) => drag(app, event, false),
        ondrop: (event: DragEvent) => {
          drag(app, event, false);
          addFiles(app, state, state.draft, [...(event.dataTransfer?.files ?? [])]);
        },
      },
      head(app, state),
      timelineView(app, state),
      !state.atBottom &&
        button('Newest messages ↓', () => toBottom(app, state), { key: 'down', class: 'to-bottom' }),
      h('p', { class: 'typing' }, typing(state)),
      composerView(app, state, state.draft, null),
    ),
    panelView(app, state),
  ];
}

function toBottom(app: App, state: RoomState): void {
  state.atBottom = true;
  app.render();
}

function drag(app: App, event: DragEvent, over: boolean): void {
  if (event.dataTransfer?.types.includes('Files') !== true) return;
  event.preventDefault();
  if (dragging === over) return;
  dragging = over;
  app.render();
}

function head(app: App, state: RoomState): VNode {
  const { info, title } = state;
  const tab = (kind: 'members' | 'pins' | 'search' | 'room', label: string): VNode =>
    button(label, () => togglePanel(app, kind), { 'aria-expanded': app.panel?.kind === kind });
  return h(
    'header',
    { class: 'room-head' },
    button('←', () => openRoom(app, null), { class: 'back quiet', 'aria-label': 'Back to the rooms' }),
    h('h2', null, title),
    h('span', { class: 'hint about' }, about(app, state)),
    h(
      'div',
      { class: 'tabs', role: 'group', 'aria-label': 'Panels' },
      tab('search', 'Search'),
      tab('pins', 'Pins'),
      tab('members', 'Members'),
      info.type !== 'direct' && tab('room', 'Room'),
    ),
  );
}

function about(app: App, { info, members, online }: RoomState): Child {
  if (info.type !== 'direct') {
    const count = online ?? [...members.keys()].filter((id) => statusOf(app, id) !== 'offline').length;
    return `${info.member_count} members, ${count} online${info.slow_mode_s > 0 ? `, slow mode ${info.slow_mode_s} s` : ''}`;
  }
  const other = [...members.keys()].find((id) => id !== app.me?.id);
  return other === undefined ? '' : dot(statusOf(app, other));
}

function typing({ room }: RoomState): string {
  const names = room.typingUsers().map(({ username }) => username);
  if (names.length === 0) return '';
  return `${namesOf(names)} ${names.length === 1 ? 'is' : 'are'} typing…`;
}

function panelView(app: App, state: RoomState): Child {
  const { panel } = app;
  if (panel === null) return null;
  switch (panel.kind) {
    case 'members':
      return membersPanel(app, state);
    case 'room':
      return roomPanel(app, state, panel);
    case 'pins':
      return pinsPanel(app, state, panel);
    case 'search':
      return searchPanel(app, state, panel);
    case 'around':
      return aroundPanel(app, state, panel);
    case 'thread':
      return threadPanel(app, state, panel);
  }
}

/** Esc closes what is nearest: a panel here; menus and dialogs do it themselves. */
export function escaped(app: App): void {
  if (app.menu !== null || app.dialog !== null || app.panel === null) return;
  openPanel(app, null);
  if (openRoomOf(app) !== null) document.getElementById('composer')?.focus();
}
