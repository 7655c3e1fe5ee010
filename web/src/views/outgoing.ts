import type { Outgoing } from '../../../client/src/index.js';
import { avatar, button } from '../dom/parts.js';
import { h, type VNode } from '../dom/vdom.js';
import type { App, RoomState } from '../state/app.js';

const STATES = {
  queued: 'Waiting to be sent',
  sending: 'Sending…',
  sent: 'Sent',
  failed: 'Not sent',
} as const;

/** A message of one's own that isn't known to be committed. */
export function outgoingView(app: App, _state: RoomState, outgoing: Outgoing): VNode {
  const { body, state, error } = outgoing;
  const name = app.me?.username ?? '';
  const files = body.attachment_ids?.length ?? 0;
  const then = (action: () => unknown) => () => {
    action();
    app.render();
  };
  return h(
    'div',
    { class: `message outgoing ${state}` },
    avatar(app.me?.id ?? '', name, app.me?.avatar_url),
    h(
      'div',
      { class: 'body' },
      h('div', { class: 'head' }, h('strong', null, name)),
      h('p', { class: 'text' }, body.content),
      files > 0 && h('p', { class: 'hint' }, files === 1 ? '1 file' : `${files} files`),
      h(
        'p',
        { class: 'send-state', 'data-state': state },
        error === null ? STATES[state] : `${STATES[state]}: ${error.message}`,
        state === 'failed' && button('Retry', then(outgoing.retry)),
        (state === 'failed' || state === 'queued') && button('Discard', then(outgoing.discard)),
      ),
    ),
  );
}
