import type { RoomInfo, RoomType, User } from '../../../client/src/index.js';
import { arrowKeys, avatar, button, dot, field, form } from '../dom/parts.js';
import { type Child, h, type VNode } from '../dom/vdom.js';
import { type App, apiOf, type Dialog, run } from '../state/app.js';
import { loadMembers, openRoom, takeRoom } from '../state/rooms.js';
import { devicesView, inspectorView, profileView } from './account.js';
import { openDirect } from './members.js';
import { act, askView, closeDialog, dialogView } from './overlay.js';

const SEARCH_PAUSE_MS = 250; // between a key and the search
let pause: ReturnType<typeof setTimeout> | undefined;

export function anyDialog(app: App, dialog: Dialog): VNode {
  switch (dialog.kind) {
    case 'create':
      return createView(app, dialog);
    case 'discover':
      return discoverView(app, dialog);
    case 'direct':
      return peopleView(app, dialog);
    case 'profile':
      return profileView(app, dialog);
    case 'devices':
      return devicesView(app, dialog);
    case 'inspector':
      return inspectorView(app, dialog);
    case 'ask':
      return askView(app, dialog);
  }
}

function createView(app: App, dialog: Dialog): VNode {
  const create = async ({
    name = '',
    description = '',
    type = 'public',
  }: Record<string, string>): Promise<void> => {
    const body = { name: name.trim(), type: type as RoomType };
    const room = await apiOf(app).createRoom(description === '' ? body : { ...body, description });
    await takeRoom(app, room);
    openRoom(app, room.id);
  };
  return dialogView(
    app,
    'Create a room',
    form(
      {},
      (values) => act(app, dialog, () => create(values)),
      field('Name', 'name', { required: true, minlength: 3, maxlength: 100, autofocus: true }),
      field('Description', 'description', { maxlength: 2_000 }),
      field(
        'Who may join',
        'type',
        {},
        'select',
        h('option', { value: 'public' }, 'Everybody'),
        h('option', { value: 'private' }, 'Those who are added'),
      ),
      h('button', { class: 'primary', disabled: dialog.busy === true }, 'Create'),
    ),
  );
}

/** A field that looks something up while it is typed in, and what it found. */
function finder<T>(
  app: App,
  dialog: Dialog,
  label: string,
  look: (q: string) => Promise<T[]>,
  row: (item: T) => VNode,
): Child[] {
  const find = (q: string): void => {
    clearTimeout(pause);
    pause = setTimeout(() => {
      look(q)
        .then((found) => {
          dialog.data = { ...(dialog.data as object), found };
        })
        .catch((error: Error) => {
          dialog.error = error.message;
        })
        .finally(app.render);
    }, SEARCH_PAUSE_MS);
  };
  const found = (dialog.data as { found?: T[] } | undefined)?.found;
  return [
    h('input', {
      type: 'search',
      'aria-label': label,
      placeholder: label,
      autofocus: true,
      mounted: () => find(''),
      oninput: (event: Event) => find((event.target as HTMLInputElement).value.trim()),
    }),
    h('p', { class: 'hint', role: 'status' }, found === undefined ? '' : `${found.length} found`),
    h(
      'ul',
      { class: 'people', onkeydown: (event: KeyboardEvent) => void arrowKeys(event, 'button') },
      (found ?? []).map(row),
    ),
  ];
}

function discoverView(app: App, dialog: Dialog): VNode {
  const join = async (room: RoomInfo): Promise<void> => {
    if (!app.rooms.has(room.id)) await takeRoom(app, await apiOf(app).joinRoom(room.id));
    openRoom(app, room.id);
  };
  return dialogView(
    app,
    'Discover rooms',
    finder(
      app,
      dialog,
      'Name or description',
      async (q) => (await apiOf(app).discoverRooms(q || undefined, { limit: 50 })).items,
      (room) =>
        h(
          'li',
          { key: room.id },
          button(
            [
              h('span', { class: 'name' }, room.name),
              h('span', { class: 'hint' }, `${room.member_count} members`),
              app.rooms.has(room.id) && h('span', { class: 'tag' }, 'joined'),
            ],
            () => act(app, dialog, () => join(room)),
            { class: 'person' },
          ),
        ),
    ),
  );
}

/** Somebody to talk to, or to add to a room. */
function peopleView(app: App, dialog: Dialog): VNode {
  const addTo = (dialog.data as { addTo?: string } | undefined)?.addTo;
  const choose = async ({ id }: User): Promise<void> => {
    const state = addTo === undefined ? undefined : app.rooms.get(addTo);
    if (state === undefined) return openDirect(app, id);
    await apiOf(app).addMember(state.info.id, { user_id: id });
    run(app, () => loadMembers(app, state));
  };
  return dialogView(
    app,
    addTo === undefined ? 'Direct message' : 'Add somebody',
    finder(
      app,
      dialog,
      'User name',
      async (q) => (q === '' ? [] : (await apiOf(app).searchUsers(q, { limit: 20 })).items),
      (user) =>
        h(
          'li',
          { key: user.id },
          button(
            [
              avatar(user.id, user.username, user.avatar_url),
              h('span', { class: 'name' }, user.username),
              dot(user.status),
            ],
            () => act(app, dialog, () => choose(user)),
            { class: 'person' },
          ),
        ),
    ),
    button('Cancel', () => closeDialog(app)),
  );
}
