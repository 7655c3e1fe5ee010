import { arrowKeys, avatar, button, dot } from '../dom/parts.js';
import { h, type VNode } from '../dom/vdom.js';
import { type App, type RoomState, run, statusOf, unreadOf } from '../state/app.js';
import { openRoom, sortedRooms } from '../state/rooms.js';
import { signOut } from '../state/start.js';
import { openDialog, openMenu } from './overlay.js';

export const FIRST_STEPS =
  'People talk in rooms. Make one and invite others, or join one that is open to all.';
const COUNT_MAX = 99; // more is "99+"

export function sidebarView(app: App): VNode {
  return h(
    'nav',
    { class: 'sidebar', 'aria-label': 'Rooms' },
    h(
      'header',
      null,
      h('h1', null, 'Parley'),
      button('New', (event) => newMenu(app, event.currentTarget as HTMLElement), {
        'aria-haspopup': 'menu',
        'aria-label': 'New room or message',
      }),
    ),
    h(
      'ul',
      { class: 'rooms', onkeydown: (event: KeyboardEvent) => void arrowKeys(event, 'button') },
      sortedRooms(app).map((state) => h('li', { key: state.info.id }, roomButton(app, state))),
    ),
    app.rooms.size === 0 &&
      h('div', { class: 'first-steps' }, h('p', { class: 'hint' }, FIRST_STEPS), startButtons(app)),
    h('footer', null, accountButton(app), linkButton(app)),
  );
}

/** Where to begin, for whoever sees no room. */
export function startButtons(app: App): VNode {
  return h(
    'div',
    { class: 'buttons' },
    button('Create a room', () => openDialog(app, { kind: 'create' }), { class: 'primary' }),
    button('Discover rooms', () => openDialog(app, { kind: 'discover' })),
  );
}

function roomButton(app: App, state: RoomState): VNode {
  const { info, title, mentions } = state;
  const open = app.open === info.id;
  const unread = open ? 0 : unreadOf(state);
  const status = info.type === 'direct' ? statusOfOther(app, state) : null;
  const words = [
    title,
    status,
    mentions > 0 && `${mentions} ${mentions === 1 ? 'mention' : 'mentions'}`,
    unread > 0 && `${unread} unread`,
  ];
  return button(
    [
      status === null
        ? h('span', { class: 'kind', 'aria-hidden': true }, info.type === 'public' ? '#' : '•')
        : dot(status),
      h('span', { class: 'name' }, title),
      mentions > 0 && h('span', { class: 'badge mentions', 'data-count': `@${shortened(mentions)}` }),
      unread > 0 && h('span', { class: 'badge', 'data-count': shortened(unread) }),
    ],
    () => openRoom(app, info.id),
    {
      class: unread > 0 ? 'room has-unread' : 'room',
      'aria-current': open ? 'page' : undefined,
      'aria-label': words.filter(Boolean).join(', '),
    },
  );
}

function statusOfOther(app: App, { members }: RoomState): string {
  const other = [...members.keys()].find((id) => id !== app.me?.id);
  return statusOf(app, other ?? '');
}

function shortened(count: number): string {
  return count > COUNT_MAX ? `${COUNT_MAX}+` : String(count);
}

function newMenu(app: App, from: HTMLElement): void {
  openMenu(app, 'New', from, [
    { label: 'Create a room', run: () => openDialog(app, { kind: 'create' }) },
    { label: 'Discover rooms', run: () => openDialog(app, { kind: 'discover' }) },
    { label: 'Direct message', run: () => openDialog(app, { kind: 'direct' }) },
  ]);
}

function accountButton(app: App): VNode {
  const { me } = app;
  const name = me?.username ?? '';
  const status = statusOf(app, me?.id ?? '');
  return button(
    [avatar(me?.id ?? '', name, me?.avatar_url), h('span', { class: 'name' }, name), dot(status)],
    (event) =>
      openMenu(app, 'Account', event.currentTarget as HTMLElement, [
        { label: 'Profile', run: () => openDialog(app, { kind: 'profile' }) },
        { label: 'Devices', run: () => openDialog(app, { kind: 'devices' }) },
        { label: 'Log out', run: () => run(app, () => signOut(app)) },
      ]),
    { class: 'account', 'aria-haspopup': 'menu', 'aria-label': `Account of ${name}, ${status}` },
  );
}

function linkButton(app: App): VNode {
  const { state, ackMs } = app.link;
  const words = state === 'online' && ackMs !== null ? `${Math.round(ackMs)} ms` : state;
  return button(
    [h('span', { class: `light ${state}`, 'aria-hidden': true }), words],
    () => openDialog(app, { kind: 'inspector' }),
    {
      class: 'link-state',
      'aria-label': `Connection: ${words}`,
    },
  );
}
