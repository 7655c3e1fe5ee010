import type { AuditEntry, Ban } from '../../../client/src/index.js';
import { button, field, form } from '../dom/parts.js';
import { type Child, h, type VNode } from '../dom/vdom.js';
import { type App, apiOf, canModerate, type Panel, type RoomState, run, toast } from '../state/app.js';
import { lose } from '../state/events.js';
import { loadTab } from '../state/panels.js';
import { momentOf } from '../text/format.js';
import { ask } from './overlay.js';
import { panelOf } from './panel.js';

type RoomPanel = Extract<Panel, { kind: 'room' }>;
const SLOW_MODES = [0, 5, 10, 30, 60, 300, 3600]; // seconds

/** The room itself: its settings, who is banned, what was done. */
export function roomPanel(app: App, state: RoomState, panel: RoomPanel): VNode {
  const tab = (name: RoomPanel['tab'], label: string): VNode =>
    button(label, () => show(app, state, panel, name), { 'aria-pressed': panel.tab === name });
  return panelOf(
    app,
    'room',
    'Room',
    canModerate(state) &&
      h(
        'div',
        { class: 'tabs', role: 'group', 'aria-label': 'Parts' },
        tab('settings', 'Settings'),
        tab('bans', 'Bans'),
        tab('audit', 'Audit log'),
      ),
    panel.tab === 'settings' && settings(app, state),
    panel.tab === 'bans' && bans(app, state, panel),
    panel.tab === 'audit' && audit(state, panel),
    panel.next !== null && button('More', () => run(app, () => loadTab(app, state, true))),
  );
}

function show(app: App, state: RoomState, panel: RoomPanel, tab: RoomPanel['tab']): void {
  panel.tab = tab;
  panel.items = panel.next = null;
  run(app, () => loadTab(app, state));
  app.render();
}

function settings(app: App, state: RoomState): Child[] {
  const { info } = state;
  const api = apiOf(app);
  return [
    info.role === 'admin'
      ? form(
          { key: 'settings' },
          ({ name = '', description = '', slow = '0' }) =>
            run(app, async () => {
              const body = {
                name: name.trim(),
                description: description.trim() || null,
                slow_mode_s: Number(slow),
              };
              await api.updateRoom(info.id, body);
              toast(app, 'Saved.');
            }),
          field('Name', 'name', {
            defaultValue: info.name ?? '',
            minlength: 3,
            maxlength: 100,
            required: true,
          }),
          field(
            'Description',
            'description',
            { defaultValue: info.description ?? '', maxlength: 2_000 },
            'textarea',
          ),
          field(
            'Slow mode',
            'slow',
            {},
            'select',
            SLOW_MODES.map((s) =>
              h(
                'option',
                { value: s, selected: s === info.slow_mode_s },
                s === 0 ? 'off' : `a message every ${s} s`,
              ),
            ),
          ),
          h('button', { class: 'primary' }, 'Save'),
        )
      : h('p', { class: 'text' }, info.description ?? 'This room has no description.'),
    h(
      'div',
      { class: 'buttons', key: 'end' },
      button('Leave the room', () =>
        ask(app, {
          title: `Leave ${state.title}?`,
          label: null,
          action: 'Leave',
          run: async () => {
            await api.leaveRoom(info.id);
            lose(app, state, null);
          },
        }),
      ),
      info.role === 'admin' &&
        button('Delete the room', () =>
          ask(app, {
            title: `Delete ${state.title} with all its messages?`,
            label: null,
            action: 'Delete',
            run: () => api.deleteRoom(info.id),
          }),
        ),
    ),
  ];
}

function bans(app: App, state: RoomState, panel: RoomPanel): Child {
  if (panel.items === null) return h('p', { class: 'hint', role: 'status' }, 'Loading…');
  const items = panel.items as Ban[];
  if (items.length === 0) return h('p', { class: 'hint' }, 'Nobody is banned.');
  const lift = (ban: Ban) => () =>
    run(app, async () => {
      await apiOf(app).unban(state.info.id, ban.user_id);
      panel.items = items.filter((each) => each !== ban);
    });
  return h(
    'ul',
    { class: 'entries' },
    items.map((ban) =>
      h(
        'li',
        { key: ban.user_id },
        h('strong', null, ban.username),
        h('span', { class: 'hint' }, ban.reason ?? 'no reason given'),
        button('Lift', lift(ban), { 'aria-label': `Lift the ban of ${ban.username}` }),
      ),
    ),
  );
}

function audit(state: RoomState, { items }: RoomPanel): Child {
  if (items === null) return h('p', { class: 'hint', role: 'status' }, 'Loading…');
  return h(
    'ul',
    { class: 'entries' },
    (items as AuditEntry[]).map(({ id, action, actor_username, target_user_id, details, created_at }) => {
      const target =
        target_user_id === null ? '' : (state.members.get(target_user_id)?.username ?? 'somebody');
      const more = Object.entries(details).map(
        ([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
      );
      return h(
        'li',
        { key: id },
        h('strong', null, actor_username),
        h('span', null, `${action.replaceAll('_', ' ')} ${target}`),
        h('span', { class: 'hint' }, [momentOf(created_at), ...more].join(', ')),
      );
    }),
  );
}
