import { arrowKeys, button, field, form } from '../dom/parts.js';
import { type Child, h, type VNode } from '../dom/vdom.js';
import type { App, Dialog, Menu, MenuItem, Question } from '../state/app.js';

/** What lies above the page: a menu, a dialog, what failed. */
export function openMenu(app: App, label: string, from: HTMLElement, items: readonly MenuItem[]): void {
  app.menu = { label, items, at: from.getBoundingClientRect(), back: from };
  app.render();
}

export function closeMenu(app: App): void {
  const back = app.menu?.back;
  app.menu = null;
  if (back?.isConnected) back.focus();
  app.render();
}

export function menuView(app: App, menu: Menu): VNode {
  const choose = (item: MenuItem): void => {
    closeMenu(app);
    item.run();
  };
  const items = menu.items.map((item) =>
    button(item.emoji ?? item.label, () => choose(item), {
      role: 'menuitem',
      tabindex: '-1',
      class: item.emoji === undefined ? 'item' : 'item emoji',
      'aria-label': item.label,
    }),
  );
  const onkeydown = (event: KeyboardEvent): void => {
    if (event.key === 'Escape' || event.key === 'Tab') {
      event.preventDefault();
      event.stopPropagation();
      closeMenu(app);
    } else if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') {
      moveBy(event, event.key === 'ArrowRight' ? 1 : -1);
    } else arrowKeys(event, '[role=menuitem]');
  };
  return h(
    'section',
    {
      key: `menu-${menu.label}`,
      class: 'menu-layer',
      'aria-label': menu.label,
      onclick: (event: Event) => event.target === event.currentTarget && closeMenu(app),
    },
    h(
      'div',
      {
        class: menu.items.some(({ emoji }) => emoji !== undefined) ? 'menu grid' : 'menu',
        role: 'menu',
        'aria-label': menu.label,
        onkeydown,
        mounted: (element: HTMLElement) => place(element, menu.at),
      },
      items,
    ),
  );
}

function moveBy(event: KeyboardEvent, step: number): void {
  const all = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>('[role=menuitem]')];
  const at = all.indexOf(document.activeElement as HTMLElement);
  event.preventDefault();
  all[(at + step + all.length) % all.length]?.focus();
}

/** Beside what it was opened from, inside of the window. */
function place(element: HTMLElement, at: DOMRect): void {
  const { width, height } = element.getBoundingClientRect();
  const top = at.bottom + height > innerHeight ? at.top - height : at.bottom;
  element.style.left = `${Math.max(4, Math.min(at.left, innerWidth - width - 4))}px`;
  element.style.top = `${Math.max(4, top)}px`;
  element.querySelector<HTMLElement>('[role=menuitem]')?.focus();
}

export function openDialog(app: App, dialog: Dialog): void {
  app.dialog = dialog;
  app.render();
}

export function closeDialog(app: App): void {
  app.dialog = null;
  app.render();
}

/** A modal dialog: the browser keeps the focus inside and gives it back. */
export function dialogView(app: App, title: string, ...children: Child[]): VNode {
  return h(
    'dialog',
    {
      key: `dialog-${app.dialog?.kind}`,
      'aria-labelledby': 'dialog-title',
      mounted: (element: HTMLDialogElement) => element.showModal(),
      gone: (element: HTMLDialogElement) => element.close(),
      // The key itself: a browser needn't offer the cancelling of a second dialog without a click between.
      onkeydown: (event: KeyboardEvent) => {
        if (event.key !== 'Escape') return;
        event.preventDefault();
        event.stopPropagation();
        closeDialog(app);
      },
      oncancel: (event: Event) => {
        event.preventDefault();
        closeDialog(app);
      },
      onclick: (event: Event) => event.target === event.currentTarget && closeDialog(app),
    },
    h(
      'div',
      { class: 'dialog-body' },
      h(
        'header',
        null,
        h('h2', { id: 'dialog-title' }, title),
        button('✕', () => closeDialog(app), { class: 'quiet', 'aria-label': 'Close' }),
      ),
      children,
      h('p', { class: 'error', role: 'alert' }, app.dialog?.error ?? ''),
    ),
  );
}

/** Runs what a dialog's form asks for, and closes it; what fails is told in it. */
export function act(app: App, dialog: Dialog, action: () => Promise<unknown>): void {
  dialog.busy = true;
  dialog.error = null;
  app.render();
  action()
    .then(() => {
      if (app.dialog === dialog) app.dialog = null;
    })
    .catch((error: unknown) => {
      dialog.error = error instanceof Error ? error.message : String(error);
    })
    .finally(() => {
      dialog.busy = false;
      app.render();
    });
}

export function ask(app: App, question: Question): void {
  openDialog(app, { kind: 'ask', data: question });
}

export function askView(app: App, dialog: Dialog): VNode {
  const { title, label, action, required, run } = dialog.data as Question;
  return dialogView(
    app,
    title,
    form(
      {},
      ({ answer = '' }) => act(app, dialog, () => run(answer.trim())),
      label !== null &&
        field(label, 'answer', { required: required === true, maxlength: 500, autofocus: true }),
      h(
        'div',
        { class: 'buttons' },
        button('Cancel', () => closeDialog(app)),
        h('button', { class: 'primary', disabled: dialog.busy === true }, action),
      ),
    ),
  );
}

export function toastsView(app: App): VNode {
  return h(
    'div',
    { class: 'toasts', role: 'alert' },
    app.toasts.map(({ key, text }) => h('p', { key, class: 'toast' }, text)),
  );
}
