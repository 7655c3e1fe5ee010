import type { Message } from '../../../client/src/index.js';
import { button } from '../dom/parts.js';
import { type Child, h, type VNode } from '../dom/vdom.js';
import { type App, type Panel, type RoomState, run } from '../state/app.js';
import { messageOf } from '../state/events.js';
import { moreReplies, search } from '../state/panels.js';
import { highlightOf } from '../text/content.js';
import { composerView } from './composer.js';
import { messageView, showMessage } from './message.js';
import { panelOf } from './panel.js';

type Of<K extends Panel['kind']> = Extract<Panel, { kind: K }>;
const SEARCH_PAUSE_MS = 300; // between a key and the search
let pause: ReturnType<typeof setTimeout> | undefined;

export function pinsPanel(app: App, state: RoomState, { items }: Of<'pins'>): VNode {
  return panelOf(app, 'pins', 'Pinned messages', list(app, state, items, 'Nothing is pinned.', true));
}

export function aroundPanel(app: App, state: RoomState, { items }: Of<'around'>): VNode {
  return panelOf(app, 'around', 'Earlier messages', list(app, state, items, '', false));
}

export function threadPanel(app: App, state: RoomState, panel: Of<'thread'>): VNode {
  const { items, root, next, upTo } = panel;
  const later = next === null ? [] : (items ?? []).filter(({ seq_no }) => seq_no > upTo);
  return panelOf(
    app,
    `thread-${root}`,
    'Thread',
    list(app, state, items?.slice(0, items.length - later.length) ?? null, '', false),
    next !== null && button('More replies', () => run(app, () => moreReplies(app, panel))),
    later.length > 0 && list(app, state, later, '', false),
    composerView(app, state, state.threadDraft, root),
  );
}

export function searchPanel(app: App, state: RoomState, panel: Of<'search'>): VNode {
  const { items, next } = panel;
  const look = (more = false): void => run(app, () => search(app, state, panel.q, more));
  return panelOf(
    app,
    'search',
    'Search',
    h('input', {
      type: 'search',
      'data-first': true,
      'aria-label': `Search in ${state.title}`,
      placeholder: 'words, "phrases", or, -not',
      value: panel.q,
      maxlength: 200,
      oninput: (event: Event) => {
        panel.q = (event.target as HTMLInputElement).value;
        clearTimeout(pause);
        pause = setTimeout(look, SEARCH_PAUSE_MS);
      },
    }),
    h('p', { class: 'sr', role: 'status' }, items === null ? '' : `${items.length} found`),
    items !== null &&
      h(
        'ul',
        { class: 'found' },
        items.map((hit) =>
          h(
            'li',
            { key: hit.id },
            messageView(app, state, hit, { content: highlightOf(hit.highlight) }),
            showButton(app, state, hit),
          ),
        ),
      ),
    items?.length === 0 && h('p', { class: 'hint' }, 'Nothing found.'),
    next !== null && button('More', () => look(true)),
  );
}

/** Messages as they are now, where the timeline knows better. */
function list(
  app: App,
  state: RoomState,
  items: readonly Message[] | null,
  empty: string,
  jump: boolean,
): Child {
  if (items === null) return h('p', { class: 'hint', role: 'status' }, 'Loading…');
  if (items.length === 0) return h('p', { class: 'hint' }, empty);
  return h(
    'ul',
    { class: 'found' },
    items.map((item) => {
      const known = messageOf(state, item.id);
      const message = known !== undefined && known.rev >= item.rev ? known : item;
      return h(
        'li',
        { key: item.id },
        messageView(app, state, message),
        jump && showButton(app, state, message),
      );
    }),
  );
}

function showButton(app: App, state: RoomState, message: Message): VNode {
  return button('Show', () => showMessage(app, state, message.id), {
    class: 'link',
    'aria-label': `Show the message of ${message.username} in the room`,
  });
}
