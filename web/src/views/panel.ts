import { button } from '../dom/parts.js';
import { type Child, h, type VNode } from '../dom/vdom.js';
import type { App } from '../state/app.js';
import { openPanel } from '../state/panels.js';

/** Beside the timeline; over it on a narrow screen. */
export function panelOf(app: App, kind: string, title: string, ...children: Child[]): VNode {
  return h(
    'aside',
    {
      key: `panel-${kind}`,
      class: 'panel',
      'aria-label': title,
      tabindex: '-1',
      mounted: (element: HTMLElement) =>
        (element.querySelector<HTMLElement>('[data-first]') ?? element).focus(),
    },
    h(
      'header',
      null,
      h('h2', null, title),
      button('✕', () => openPanel(app, null), { class: 'quiet', 'aria-label': `Close ${title}` }),
    ),
    children,
  );
}
