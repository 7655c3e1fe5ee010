import type { Member, Role } from '../../../client/src/index.js';
import { arrowKeys, avatar, button, dot } from '../dom/parts.js';
import { type Child, h, type VNode } from '../dom/vdom.js';
import { type App, apiOf, canModerate, type MenuItem, type RoomState, run, statusOf } from '../state/app.js';
import { moreMembers, openRoom, takeRoom } from '../state/rooms.js';
import { momentOf } from '../text/format.js';
import { ask, openDialog, openMenu } from './overlay.js';
import { panelOf } from './panel.js';

const RANK: Readonly<Record<Role, number>> = { member: 1, moderator: 2, admin: 3 };
const MUTES = [
  ['Mute for 10 minutes', 10],
  ['Mute for a day', 24 * 60],
] as const;

export function membersPanel(app: App, state: RoomState): VNode {
  const members = [...state.members.values()].sort(
    (a, b) => RANK[b.role] - RANK[a.role] || a.username.localeCompare(b.username),
  );
  return panelOf(
    app,
    'members',
    'Members',
    canModerate(state) &&
      button('Add somebody', () => openDialog(app, { kind: 'direct', data: { addTo: state.info.id } })),
    h(
      'ul',
      { class: 'people', onkeydown: (event: KeyboardEvent) => void arrowKeys(event, 'button') },
      members.map((member) => h('li', { key: member.user_id }, person(app, state, member))),
    ),
    state.membersNext !== null && button('More members', () => run(app, () => moreMembers(app, state))),
  );
}

function person(app: App, state: RoomState, member: Member): Child {
  const { user_id, username, avatar_url, role } = member;
  const status = statusOf(app, user_id);
  const muted = isMuted(member);
  const inside = [
    avatar(user_id, username, avatar_url),
    h('span', { class: 'name' }, username),
    dot(status),
    role !== 'member' && h('span', { class: 'tag' }, role),
    muted && h('span', { class: 'tag', title: momentOf(member.muted_until ?? '') }, 'muted'),
  ];
  const items = actions(app, state, member);
  if (items.length === 0) return h('div', { class: 'person' }, inside);
  return button(inside, (event) => openMenu(app, username, event.currentTarget as HTMLElement, items), {
    class: 'person',
    'aria-haspopup': 'menu',
    'aria-label': `${username}, ${status}, ${role}${muted ? ', muted' : ''}: actions`,
  });
}

function isMuted({ muted_until }: Member): boolean {
  return muted_until !== null && Date.parse(muted_until) > Date.now();
}

function actions(app: App, state: RoomState, member: Member): MenuItem[] {
  const { info } = state;
  const { user_id, username, role } = member;
  if (user_id === app.me?.id) return [];
  const talk: MenuItem = { label: 'Direct message', run: () => run(app, () => openDirect(app, user_id)) };
  if (info.type === 'direct') return [];
  if (!canModerate(state) || RANK[info.role] <= RANK[role]) return [talk];
  const api = apiOf(app);
  const change = (body: { role?: Role; muted_until?: string | null }) => () =>
    run(app, async () => {
      state.members.set(user_id, await api.updateMember(info.id, user_id, body));
    });
  const until = (minutes: number): string => new Date(Date.now() + minutes * 60_000).toISOString();
  return [
    talk,
    ...(info.role === 'admin'
      ? rolesFor(role).map((to) => ({ label: `Make ${to}`, run: change({ role: to }) }))
      : []),
    ...(isMuted(member)
      ? [{ label: 'Unmute', run: change({ muted_until: null }) }]
      : MUTES.map(([label, minutes]) => ({ label, run: () => change({ muted_until: until(minutes) })() }))),
    { label: 'Remove', run: () => run(app, () => api.removeMember(info.id, user_id)) },
    {
      label: 'Ban',
      run: () =>
        ask(app, {
          title: `Ban ${username}`,
          label: 'Reason (may be empty)',
          action: 'Ban',
          run: (reason) => api.ban(info.id, user_id, reason || undefined),
        }),
    },
  ];
}

function rolesFor(role: Role): Role[] {
  return (['admin', 'moderator', 'member'] as const).filter((each) => each !== role);
}

export async function openDirect(app: App, userId: string): Promise<void> {
  const room = await apiOf(app).createRoom({ type: 'direct', member_ids: [userId] });
  await takeRoom(app, room);
  openRoom(app, room.id);
}
