import { button, field, form } from '../dom/parts.js';
import { h, type VNode } from '../dom/vdom.js';
import type { App } from '../state/app.js';
import { start } from '../state/start.js';

const ABOUT =
  'A chat server of your own: rooms, threads and files, live in any browser, and no message is lost when the connection is.';

let registering = false;
let busy = false;
let failure: string | null = null;

export function loginView(app: App): VNode {
  const title = registering ? 'Create an account' : 'Log in';
  return h(
    'main',
    { class: 'sign-in' },
    h('h1', null, 'Parley'),
    h('p', { class: 'about' }, ABOUT),
    h('h2', null, title),
    form(
      { 'aria-label': title },
      (values) => void enter(app, values),
      registering &&
        field('User name', 'username', {
          key: 'username',
          required: true,
          pattern: '[A-Za-z0-9_\\-]{3,50}',
          title: '3 to 50 letters, digits, _ or -',
          autocomplete: 'username',
        }),
      field('Email', 'email', {
        key: 'email',
        type: 'email',
        required: true,
        autocomplete: 'email',
        mounted: focus,
      }),
      field('Password', 'password', {
        key: 'password',
        type: 'password',
        required: true,
        minlength: registering ? 8 : 1,
        autocomplete: registering ? 'new-password' : 'current-password',
      }),
      h('p', { class: 'error', role: 'alert' }, failure ?? ''),
      h('button', { class: 'primary', disabled: busy }, title),
    ),
    button(registering ? 'I have an account' : 'I am new here', () => {
      registering = !registering;
      failure = null;
      app.render();
    }),
  );
}

function focus(element: HTMLElement): void {
  element.focus();
}

async function enter(app: App, values: Record<string, string>): Promise<void> {
  const { username = '', email = '', password = '' } = values;
  busy = true;
  failure = null;
  app.render();
  try {
    if (registering) await app.session.register({ username, email, password });
    else await app.session.login({ email, password });
    registering = false;
    void start(app);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  } finally {
    busy = false;
    app.render();
  }
}
