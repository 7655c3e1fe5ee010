import type { DeviceSession, Me, UserStatus } from '../../../client/src/index.js';
import { button, field, form } from '../dom/parts.js';
import { type Child, h, type VNode } from '../dom/vdom.js';
import { type App, apiOf, type Dialog, openRoomOf, run } from '../state/app.js';
import { setPresence } from '../state/events.js';
import { useClient } from '../state/start.js';
import { momentOf } from '../text/format.js';
import { act, dialogView } from './overlay.js';

const STATUSES: readonly (readonly [UserStatus, string])[] = [
  ['online', 'Online'],
  ['away', 'Away'],
  ['offline', 'Invisible'],
];
const LATENCY_EVERY_MS = 2_000;

export function profileView(app: App, dialog: Dialog): VNode {
  const me = dialog.data as Me | undefined; // as it was read: what comes later would overwrite what was chosen meanwhile
  const save = async ({
    username = '',
    avatar = '',
    status = 'online',
  }: Record<string, string>): Promise<void> => {
    const body = { avatar_url: avatar === '' ? null : avatar, status: status as UserStatus };
    app.me = await apiOf(app).updateMe(username === me?.username ? body : { ...body, username });
    setPresence(app, app.me.id, body.status);
  };
  const load = (): void =>
    run(app, async () => {
      dialog.data = app.me = await apiOf(app).me();
    });
  if (me === undefined) return dialogView(app, 'Profile', h('p', { mounted: load }, 'Loading…'));
  return dialogView(
    app,
    'Profile',
    form(
      {},
      (values) => act(app, dialog, () => save(values)),
      field('User name', 'username', {
        defaultValue: me.username,
        required: true,
        pattern: '[A-Za-z0-9_\\-]{3,50}',
        title: '3 to 50 letters, digits, _ or -',
      }),
      field('Address of a picture (https)', 'avatar', {
        defaultValue: me.avatar_url ?? '',
        type: 'url',
        pattern: 'https://.*',
        maxlength: 500,
      }),
      field(
        'Shown as',
        'status',
        {},
        'select',
        STATUSES.map(([value, label]) => h('option', { value, selected: value === me.status }, label)),
      ),
      h('button', { class: 'primary', disabled: dialog.busy === true }, 'Save'),
    ),
  );
}

export function devicesView(app: App, dialog: Dialog): VNode {
  const load = (): void =>
    run(app, async () => {
      dialog.data = await apiOf(app).sessions();
    });
  const sessions = dialog.data as DeviceSession[] | undefined;
  return dialogView(
    app,
    'Devices',
    h(
      'ul',
      { class: 'entries', mounted: load },
      (sessions ?? []).map(({ id, device, last_used_at, current }) =>
        h(
          'li',
          { key: id },
          h('strong', null, device ?? 'Unknown device'),
          h('span', { class: 'hint' }, `last used ${momentOf(last_used_at)}`),
          current
            ? h('span', { class: 'tag' }, 'this one')
            : button('End', () => run(app, () => apiOf(app).endSession(id).then(load)), {
                'aria-label': `End the session of ${device ?? 'an unknown device'}`,
              }),
        ),
      ),
    ),
  );
}

/** What goes on below: the connection, its encoding, how far each room is. */
export function inspectorView(app: App, dialog: Dialog): VNode {
  const { link, client } = app;
  const state = openRoomOf(app);
  const position = state?.room.position();
  const facts: [string, Child][] = [
    ['State', link.state],
    ['Connected since', link.since === null ? '–' : momentOf(new Date(link.since).toISOString())],
    ['Reconnects', Math.max(0, link.connects - 1)],
    ['Last close code', link.lastCode ?? '–'],
    ['Request and answer', millis(link.latencyMs)],
    ['Last send to commit', millis(link.ackMs)],
    ['Unsent messages', client?.outbox().length ?? 0],
    ['This room', position ? `rev ${position.rev}, message ${position.seq}` : '–'],
    ['Messages in memory', state?.room.messages().length ?? 0],
  ];
  return dialogView(
    app,
    'Connection',
    h(
      'dl',
      { class: 'facts', mounted: () => measure(app, dialog) },
      facts.flatMap(([name, value]) => [h('dt', null, name), h('dd', null, value)]),
    ),
    field(
      'Encoding',
      'encoding',
      {
        onchange: (event: Event) =>
          run(app, () => useClient(app, (event.target as HTMLSelectElement).value as 'json' | 'msgpack')),
      },
      'select',
      h('option', { value: 'json', selected: link.encoding === 'json' }, 'JSON'),
      h('option', { value: 'msgpack', selected: link.encoding === 'msgpack' }, 'MessagePack'),
    ),
  );
}

function millis(ms: number | null): string {
  return ms === null ? '–' : `${ms.toFixed(1)} ms`;
}

/** Times a request that asks nothing of the database, while the dialog is open. */
async function measure(app: App, dialog: Dialog): Promise<void> {
  while (app.dialog === dialog) {
    const at = performance.now();
    const answered = await fetch(`${app.url}/api/v1/health/live`).then(
      () => true,
      () => false,
    );
    app.link.latencyMs = answered ? performance.now() - at : null;
    app.render();
    await new Promise((done) => setTimeout(done, LATENCY_EVERY_MS));
  }
}
