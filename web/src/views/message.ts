import type { Message, Reaction } from '../../../client/src/index.js';
import { avatar, button } from '../dom/parts.js';
import { type Child, h, type VNode } from '../dom/vdom.js';
import { type App, apiOf, canModerate, type MenuItem, type RoomState, run } from '../state/app.js';
import { messageOf } from '../state/events.js';
import { openAround, openThread } from '../state/panels.js';
import { contentOf } from '../text/content.js';
import { momentOf, namesOf, timeOf } from '../text/format.js';
import { attachmentsView } from './attachments.js';
import { EMOJI } from './emoji.js';
import { ask, openMenu } from './overlay.js';

export interface MessageOptions {
  /** Below another of the same author. */
  readonly grouped?: boolean;
  /** Instead of the content, where a search marked something. */
  readonly content?: Child[];
}

export function messageView(
  app: App,
  state: RoomState,
  message: Message,
  options: MessageOptions = {},
): VNode {
  const { grouped = false } = options;
  const { deleted_at, username, user_id } = message;
  const member = state.members.get(user_id);
  const mine = message.mentions.includes(app.me?.id ?? '');
  return h(
    'div',
    {
      class: `message${grouped ? ' grouped' : ''}${mine ? ' mentions-me' : ''}${message.pinned ? ' pinned' : ''}`,
    },
    grouped ? h('span', { class: 'gutter' }) : avatar(user_id, username, member?.avatar_url),
    h(
      'div',
      { class: 'body' },
      !grouped &&
        h(
          'div',
          { class: 'head' },
          h('strong', null, username),
          h(
            'time',
            { datetime: message.created_at, title: momentOf(message.created_at) },
            timeOf(message.created_at),
          ),
          message.pinned && h('span', { class: 'tag' }, 'pinned'),
          message.thread_root !== null && h('span', { class: 'tag' }, 'in a thread'),
        ),
      message.reply_to !== null && quote(app, state, message.reply_to),
      deleted_at === null
        ? h(
            'p',
            { class: 'text' },
            options.content ?? content(app, state, message),
            message.edited && h('span', { class: 'edited' }, ' (edited)'),
          )
        : h('p', { class: 'text deleted' }, 'This message was deleted.'),
      attachmentsView(app, message.attachments),
      reactionsView(app, state, message),
      threadLink(app, state, message),
      seenBy(app, state, message),
    ),
    deleted_at === null &&
      button('⋯', (event) => messageMenu(app, state, message, event.currentTarget as HTMLElement), {
        class: 'more quiet',
        'aria-label': `Actions on the message of ${username}`,
        'aria-haspopup': 'menu',
      }),
  );
}

function content(app: App, state: RoomState, message: Message): Child[] {
  const own = app.me?.username.toLowerCase() ?? '';
  return contentOf(message.content, (name) => name === own || namesIn(state).has(name), own);
}

const names = new WeakMap<RoomState, { size: number; set: Set<string> }>();

/** Lower-case names of the members that are known. */
function namesIn(state: RoomState): Set<string> {
  const known = names.get(state);
  if (known !== undefined && known.size === state.members.size) return known.set;
  const set = new Set([...state.members.values()].map(({ username }) => username.toLowerCase()));
  names.set(state, { size: state.members.size, set });
  return set;
}

function quote(app: App, state: RoomState, id: string): VNode {
  const message = messageOf(state, id);
  const words = message === undefined ? 'an earlier message' : `${message.username}: ${message.content}`;
  return button(`↪ ${words}`, () => showMessage(app, state, id), { class: 'quote' });
}

/** Scrolls to a message where it is loaded, else shows it with what is around it. */
export function showMessage(app: App, state: RoomState, id: string): void {
  if (messageOf(state, id) !== undefined) {
    state.target = id;
    app.render();
    return;
  }
  run(app, async () => openAround(app, state, await apiOf(app).message(id)));
}

function reactionsView(app: App, state: RoomState, message: Message): Child {
  if (message.reactions.length === 0) return null;
  return h(
    'div',
    { class: 'reactions' },
    message.reactions.map((reaction) => {
      const mine = reaction.user_ids.includes(app.me?.id ?? '');
      return button(
        `${reaction.emoji} ${reaction.count}`,
        () => toggle(app, state, message, reaction.emoji),
        {
          key: reaction.emoji,
          'aria-pressed': mine,
          title: whoReacted(app, state, reaction),
        },
      );
    }),
  );
}

function whoReacted(app: App, state: RoomState, { user_ids, emoji }: Reaction): string {
  const nameOf = (id: string): string =>
    id === app.me?.id ? 'you' : (state.members.get(id)?.username ?? 'somebody');
  return `${namesOf(user_ids.map(nameOf), 5)}: ${emoji}`;
}

function toggle(app: App, state: RoomState, message: Message, emoji: string): void {
  const mine = message.reactions.some(
    (each) => each.emoji === emoji && each.user_ids.includes(app.me?.id ?? ''),
  );
  run(app, () => (mine ? state.room.unreact(message.id, emoji) : state.room.react(message.id, emoji)));
}

function threadLink(app: App, state: RoomState, message: Message): Child {
  const count = state.threadCounts.get(message.id) ?? message.thread_count;
  if (count === 0) return null;
  return button(count === 1 ? '1 reply' : `${count} replies`, () => openThread(app, message.id), {
    class: 'link',
  });
}

/** Who has read the newest of one's own messages. */
function seenBy(app: App, state: RoomState, message: Message): Child {
  if (message.user_id !== app.me?.id || message.seq_no !== lastOwn(app, state)) return null;
  const readers = [...state.members.values()].filter(
    ({ user_id, last_read_seq }) => user_id !== app.me?.id && last_read_seq >= message.seq_no,
  );
  const words = readers.length === 0 ? 'Sent' : `Seen by ${namesOf(readers.map(({ username }) => username))}`;
  return h('p', { class: 'seen' }, words);
}

function lastOwn(app: App, state: RoomState): number | undefined {
  return state.room.messages().findLast(({ user_id }) => user_id === app.me?.id)?.seq_no;
}

export function messageMenu(app: App, state: RoomState, message: Message, from: HTMLElement): void {
  if (message.deleted_at !== null) return;
  const { id } = message;
  const own = message.user_id === app.me?.id;
  const moderates = canModerate(state);
  const items: (MenuItem | false)[] = [
    { label: 'React', run: () => pickEmoji(app, state, message, from) },
    { label: 'Reply', run: () => begin(app, state, { replyTo: message, editing: null }) },
    { label: 'Reply in thread', run: () => openThread(app, message.thread_root ?? id) },
    own && { label: 'Edit', run: () => edit(app, state, message) },
    (own || moderates) && { label: 'Delete', run: () => confirmDelete(app, state, message) },
    (moderates || (state.info.type === 'direct' && state.info.role === 'admin')) && {
      label: message.pinned ? 'Unpin' : 'Pin',
      run: () => run(app, () => (message.pinned ? state.room.unpin(id) : state.room.pin(id))),
    },
    { label: 'Copy text', run: () => run(app, () => navigator.clipboard.writeText(message.content)) },
    !own && { label: 'Report', run: () => report(app, message) },
  ];
  openMenu(
    app,
    'Message',
    from,
    items.filter((item) => item !== false),
  );
}

function pickEmoji(app: App, state: RoomState, message: Message, from: HTMLElement): void {
  const items = EMOJI.map(([emoji, label]) => ({
    emoji,
    label,
    run: () => toggle(app, state, message, emoji),
  }));
  openMenu(app, 'Reaction', from, items);
}

export function edit(app: App, state: RoomState, message: Message): void {
  begin(app, state, { editing: message, replyTo: null, text: message.content });
}

function begin(app: App, state: RoomState, change: Partial<RoomState['draft']>): void {
  Object.assign(state.draft, change);
  app.render();
  // After drawing, and after the menu gave the focus back.
  requestAnimationFrame(() => document.querySelector<HTMLElement>('.room-main .composer textarea')?.focus());
}

function confirmDelete(app: App, state: RoomState, message: Message): void {
  ask(app, {
    title: 'Delete this message?',
    label: null,
    action: 'Delete',
    run: () => state.room.delete(message.id),
  });
}

function report(app: App, message: Message): void {
  ask(app, {
    title: `Report the message of ${message.username}`,
    label: 'Reason',
    required: true,
    action: 'Report',
    run: (reason) => apiOf(app).report(message.id, reason),
  });
}
