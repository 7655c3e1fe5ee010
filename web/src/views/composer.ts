import { button } from '../dom/parts.js';
import { type Child, h, type VNode } from '../dom/vdom.js';
import type { App, Draft, RoomState } from '../state/app.js';
import { addFiles, canSend, clear, submit } from '../state/compose.js';
import { pendingFilesView } from './attachments.js';
import { edit } from './message.js';

const NAMES_MAX = 6; // offered at once

interface Completion {
  readonly draft: Draft;
  readonly names: readonly string[];
  readonly from: number;
  readonly to: number;
  index: number;
}
let completion: Completion | null = null;

export function composerView(app: App, state: RoomState, draft: Draft, threadRoot: string | null): VNode {
  const label = threadRoot === null ? `Message to ${state.title}` : 'Reply in the thread';
  const id = threadRoot === null ? 'composer' : 'thread-composer';
  const shown = completion?.draft === draft ? completion : null;
  return h(
    'form',
    {
      class: 'composer',
      onsubmit: (event: Event) => {
        event.preventDefault();
        submit(app, state, draft, threadRoot);
      },
    },
    shown !== null && namesView(app, id, shown),
    context(app, draft),
    pendingFilesView(app, state, draft),
    h(
      'div',
      { class: 'line' },
      attachButton(app, state, draft, id),
      h('textarea', {
        id,
        rows: 1,
        value: draft.text,
        'aria-label': label,
        placeholder: label,
        'aria-autocomplete': 'list',
        'aria-controls': shown === null ? undefined : `${id}-names`,
        'aria-activedescendant': shown === null ? undefined : `${id}-name-${shown.index}`,
        oninput: (event: Event) => typed(app, state, draft, event.target as HTMLTextAreaElement),
        onkeydown: (event: KeyboardEvent) => keyed(app, state, draft, threadRoot, event),
        onblur: () => {
          completion = null;
          state.room.stopTyping();
          app.render();
        },
        onpaste: (event: ClipboardEvent) => {
          const files = [...(event.clipboardData?.files ?? [])];
          if (files.length === 0) return;
          event.preventDefault();
          addFiles(app, state, draft, files);
        },
      }),
      h('button', { class: 'primary', disabled: !canSend(draft) }, draft.editing === null ? 'Send' : 'Save'),
    ),
  );
}

function attachButton(app: App, state: RoomState, draft: Draft, id: string): Child {
  if (draft.editing !== null) return null;
  return h(
    'label',
    { class: 'attach', title: 'Attach files' },
    h('span', { 'aria-hidden': true }, '+'),
    h('input', {
      type: 'file',
      id: `${id}-files`,
      multiple: true,
      class: 'sr',
      'aria-label': 'Attach files',
      onchange: (event: Event) => {
        const input = event.target as HTMLInputElement;
        addFiles(app, state, draft, [...(input.files ?? [])]);
        input.value = '';
      },
    }),
  );
}

/** What the draft answers or changes. */
function context(app: App, draft: Draft): Child {
  const { replyTo, editing } = draft;
  const about = editing ?? replyTo;
  if (about === null) return null;
  const words = editing === null ? `Reply to ${about.username}: ${about.content}` : 'Editing a message';
  return h(
    'p',
    { class: 'context' },
    h('span', null, words),
    button('✕', () => cancel(app, draft), {
      class: 'quiet',
      'aria-label': editing === null ? 'No reply' : 'Stop editing',
    }),
  );
}

function cancel(app: App, draft: Draft): void {
  if (draft.editing !== null) clear(draft);
  draft.replyTo = null;
  app.render();
}

function typed(app: App, state: RoomState, draft: Draft, area: HTMLTextAreaElement): void {
  draft.text = area.value;
  if (draft.text.trim() === '') state.room.stopTyping();
  else if (draft.editing === null) state.room.typing();
  completion = complete(app, state, draft, area.selectionStart);
  app.render();
}

function complete(app: App, state: RoomState, draft: Draft, caret: number): Completion | null {
  const begun = /(?:^|[^A-Za-z0-9_@-])@([A-Za-z0-9_-]{0,50})$/.exec(draft.text.slice(0, caret))?.[1];
  if (begun === undefined) return null;
  const wanted = begun.toLowerCase();
  const names = [...state.members.values()]
    .filter(({ user_id, username }) => user_id !== app.me?.id && username.toLowerCase().startsWith(wanted))
    .map(({ username }) => username)
    .sort()
    .slice(0, NAMES_MAX);
  const complete = names.length === 1 && names[0]?.toLowerCase() === wanted;
  return names.length === 0 || complete
    ? null
    : { draft, names, from: caret - begun.length, to: caret, index: 0 };
}

/** At once, not with the next drawing: the person types on. */
function take(app: App, { draft, names, from, to, index }: Completion, id: string): void {
  const area = document.getElementById(id) as HTMLTextAreaElement;
  area.setRangeText(`${names[index]} `, from, to, 'end');
  draft.text = area.value;
  completion = null;
  app.render();
}

function namesView(app: App, id: string, shown: Completion): VNode {
  return h(
    'ul',
    { class: 'names', role: 'listbox', id: `${id}-names`, 'aria-label': 'People' },
    shown.names.map((name, i) =>
      h(
        'li',
        {
          key: name,
          role: 'option',
          id: `${id}-name-${i}`,
          'aria-selected': i === shown.index,
          onmousedown: (event: Event) => {
            event.preventDefault(); // the field keeps the focus
            take(app, { ...shown, index: i }, id);
          },
        },
        name,
      ),
    ),
  );
}

function keyed(
  app: App,
  state: RoomState,
  draft: Draft,
  threadRoot: string | null,
  event: KeyboardEvent,
): void {
  if (event.isComposing) return;
  const { key } = event;
  const area = event.target as HTMLTextAreaElement;
  if (completion?.draft === draft && ['ArrowDown', 'ArrowUp', 'Enter', 'Tab', 'Escape'].includes(key)) {
    event.preventDefault();
    event.stopPropagation();
    if (key === 'Escape') completion = null;
    else if (key === 'Enter' || key === 'Tab') return take(app, completion, area.id);
    else {
      const { index, names } = completion;
      completion.index = (index + (key === 'ArrowDown' ? 1 : -1) + names.length) % names.length;
    }
    app.render();
  } else if (key === 'Enter' && !event.shiftKey) {
    event.preventDefault();
    submit(app, state, draft, threadRoot);
    area.value = draft.text; // at once: the person types on
  } else if (key === 'Escape' && (draft.editing !== null || draft.replyTo !== null)) {
    event.stopPropagation();
    cancel(app, draft);
  } else if (key === 'ArrowUp' && draft.text === '' && threadRoot === null) {
    const last = state.room
      .messages()
      .findLast((each) => each.user_id === app.me?.id && each.deleted_at === null);
    if (last === undefined) return;
    event.preventDefault();
    edit(app, state, last);
  }
}
