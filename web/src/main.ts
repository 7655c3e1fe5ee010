import { h, patch, type VNode } from './dom/vdom.js';
import { type App, openRoomOf } from './state/app.js';
import { lookAgain } from './state/refresh.js';
import { markSeen } from './state/rooms.js';
import { storedSession } from './state/session.js';
import { savedEncoding, start } from './state/start.js';
import { anyDialog } from './views/dialogs.js';
import { loginView } from './views/login.js';
import { menuView, toastsView } from './views/overlay.js';
import { escaped, roomView } from './views/room.js';
import { FIRST_STEPS, sidebarView, startButtons } from './views/sidebar.js';
import { forgetHeights, settleTimeline } from './views/timeline.js';

const PASSES_MAX = 5; // of measuring rows and drawing again
const TICK_MS = 1_000; // for what ends by itself: typing, the wait for the next connection

const root = document.getElementById('app') as HTMLElement;
let asked = false;

const app: App = {
  url: location.origin,
  session: storedSession(location.origin),
  phase: 'login',
  me: null,
  client: null,
  api: null,
  rooms: new Map(),
  open: null,
  panel: null,
  dialog: null,
  menu: null,
  presence: new Map(),
  link: {
    state: 'connecting',
    encoding: savedEncoding(),
    connects: 0,
    since: null,
    lastCode: null,
    retryAt: null,
    latencyMs: null,
    ackMs: null,
  },
  toasts: [],
  announcement: '',
  render: () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(draw);
  },
};

function draw(): void {
  asked = false;
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    patch(root, pageView());
    if (!settleTimeline(app)) break;
  }
  document.title = titleOf();
}

function pageView(): VNode {
  return h(
    'div',
    {
      class: `page ${app.phase}${app.open === null ? '' : ' room-open'}${app.panel === null ? '' : ' panel-open'}`,
    },
    banner(),
    app.phase === 'login' && loginView(app),
    app.phase === 'starting' &&
      h('main', { class: 'sign-in' }, h('h1', null, 'Parley'), h('p', { role: 'status' }, 'Connecting…')),
    app.phase === 'chat' && chatView(),
    app.menu !== null && menuView(app, app.menu),
    app.dialog !== null && anyDialog(app, app.dialog),
    toastsView(app),
    h('p', { class: 'sr', 'aria-live': 'polite' }, app.announcement),
  );
}

function chatView(): VNode {
  const state = openRoomOf(app);
  return h(
    'div',
    { class: 'chat' },
    sidebarView(app),
    state === null
      ? h(
          'main',
          { key: 'nothing', class: 'nothing' },
          h(
            'div',
            null,
            h('h2', null, app.rooms.size === 0 ? 'You are in no room yet' : 'No room is open'),
            h(
              'p',
              { class: 'hint' },
              app.rooms.size === 0 ? FIRST_STEPS : 'Choose one at the left, or find another.',
            ),
            startButtons(app),
          ),
        )
      : roomView(app, state),
  );
}

function banner(): VNode {
  const { state, retryAt } = app.link;
  const away = app.phase === 'chat' && state === 'offline';
  const seconds = retryAt === null ? 0 : Math.max(0, Math.ceil((retryAt - Date.now()) / 1_000));
  const words = `No connection. What you send waits${seconds > 0 ? `; next attempt in ${seconds} s` : ''}.`;
  return h('p', { class: away ? 'banner' : 'sr', role: 'status' }, away ? words : '');
}

function titleOf(): string {
  let mentions = 0;
  for (const room of app.rooms.values()) mentions += room.mentions;
  return `${mentions > 0 ? `(${mentions}) ` : ''}${openRoomOf(app)?.title ?? 'Parley'}`;
}

let width = innerWidth;
addEventListener('resize', () => {
  if (innerWidth !== width) forgetHeights(app);
  width = innerWidth;
  app.render();
});
document.addEventListener('visibilitychange', () => {
  const state = openRoomOf(app);
  if (state !== null) markSeen(app, state);
  lookAgain(app);
});
addEventListener('focus', () => lookAgain(app));
addEventListener('keydown', (event) => event.key === 'Escape' && escaped(app));
addEventListener('dragover', (event) => event.preventDefault()); // a file that misses doesn't replace the page
addEventListener('drop', (event) => event.preventDefault());
setInterval(() => app.phase === 'chat' && app.render(), TICK_MS);

void start(app);
app.render();
