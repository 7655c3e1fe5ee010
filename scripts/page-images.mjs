/**
 * `node scripts/page-images.mjs [chromium]`: draws the demo page, and the status page under some load, into docs/images/, of a
 * server of its own on an empty database. Needs Chromium.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import sharp from 'sharp';
import { WebSocket } from 'ws';
import { build, root } from './build.mjs';

const COLOURS = 128; // enough for flat areas and letters
const MAX_BYTES = 150 * 1_024; // a page of the docs has to load quickly
const SAID = [
  ['ann', 'The release is out. Thank you all!'],
  ['ben', '🎉 How did the rolling restart go?'],
  ['ann', 'Two nodes, one after the other. Nobody noticed: every client resumed where it was.'],
  ['cleo', '@ann the search for "exact phrases" works well, see https://example.org/notes'],
  ['ben', 'I pulled the plug of my router in the middle. My message went out once, when I was back.'],
];

const VISITORS = 24; // who talk while the status page is drawn
const VISITORS_A_ROOM = 8;
const PAUSE_MS = 200; // between the messages of one
const LOADED_MS = 40_000; // until the lines of the status page show something

await build();
const { createApi, createClient, createSession } = await import('../dist/client/src/index.js');
const dataDir = mkdtempSync(join(tmpdir(), 'parley-pictures-'));
const server = spawn(process.execPath, ['dist/src/main.js'], {
  cwd: root,
  env: {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    NODE_ENV: 'test',
    DATA_DIR: dataDir,
    SERVER_HOST: '127.0.0.1',
    SERVER_PORT: '0',
    METRICS_PORT: '0',
    AUTH_RATE_LIMIT_PER_MINUTE: '0',
    RATE_LIMIT_PER_MINUTE: '0',
  },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const ended = new Promise((resolve) => server.once('close', resolve));
const browser = await chromium.launch({
  executablePath: process.argv[2] ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
try {
  const { port, metrics_port: metricsPort } = await listening();
  const url = `http://127.0.0.1:${port}`;
  await fill(url);
  const desktop = { viewport: { width: 1100, height: 640 } };
  const phone = {
    viewport: { width: 390, height: 760 },
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
  };
  await draw('page-light', desktop, 'light', (page) => chat(page, url));
  await draw('page-dark', desktop, 'dark', (page) => chat(page, url));
  await draw('page-phone', phone, 'light', (page) => chat(page, url));
  await draw('status', { viewport: { width: 1000, height: 890 } }, 'light', async (page) => {
    await page.goto(`http://127.0.0.1:${metricsPort}/status`);
    await page.getByText('Healthy').waitFor();
    const stop = await talk(url);
    await page.waitForTimeout(LOADED_MS);
    return stop;
  });
} finally {
  await browser.close();
  server.kill('SIGTERM');
  await ended;
  rmSync(dataDir, { recursive: true, force: true });
}

async function listening() {
  for await (const line of createInterface({ input: server.stdout })) {
    const said = line.startsWith('{') ? JSON.parse(line) : {};
    if (said.event === 'listening') {
      server.stdout.resume();
      return said;
    }
  }
  throw new Error('the server ended at its start');
}

/** Three people, three rooms, a few words. */
async function fill(url) {
  const call = async (token, path, body) => {
    const answer = await fetch(`${url}/api/v1${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const { success, data, error } = await answer.json();
    if (!success) throw new Error(`${path}: ${error}`);
    return data;
  };
  const tokens = {};
  for (const name of ['ann', 'ben', 'cleo']) {
    const account = { username: name, email: `${name}@example.org`, password: 'correct horse' };
    tokens[name] = (await call(null, '/auth/register', account)).token;
  }
  let last;
  for (const name of ['Support', 'Design', 'Releases']) {
    const room = await call(tokens.ann, '/rooms', { name, type: 'public' });
    for (const other of ['ben', 'cleo']) await call(tokens[other], `/rooms/${room.id}/join`);
    for (const [who, content] of name === 'Releases' ? SAID : SAID.slice(0, 1)) {
      last = await call(tokens[who], `/rooms/${room.id}/messages`, { content });
    }
  }
  for (const who of ['ann', 'cleo'])
    await call(tokens[who], `/messages/${last.id}/reactions`, { emoji: '👍' });
}

/** People who are connected, write and read. @returns what ends it */
async function talk(url) {
  let talking = true;
  let room;
  const visits = [];
  for (let n = 0; n < VISITORS; n++) {
    const session = createSession({ url });
    const username = `visitor-${n}`;
    await session.register({ username, email: `${username}@example.org`, password: 'correct horse' });
    const client = createClient({ url, token: session.token, WebSocket });
    const api = createApi(client.http);
    await client.connect();
    if (n % VISITORS_A_ROOM === 0) room = await api.createRoom({ name: `Talk ${n}`, type: 'public' });
    else await api.joinRoom(room.id);
    visits.push(visit(client, api, room.id));
  }
  async function visit(client, api, id) {
    const heard = client.room(id);
    await heard.join();
    for (let n = 0; talking; n++) {
      await heard.send(`message ${n}`).sent;
      if (n % 10 === 0) await api.messages(id, { limit: 20 });
      await new Promise((done) => setTimeout(done, PAUSE_MS * (0.5 + Math.random())));
    }
    client.close();
  }
  return async () => {
    talking = false;
    await Promise.all(visits);
  };
}

async function chat(page, url) {
  await page.goto(url);
  await page.getByLabel('Email').fill('ann@example.org');
  await page.getByLabel('Password').fill('correct horse');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('button', { name: /^Releases/ }).click();
  await page.getByText('pulled the plug').first().waitFor();
  await page.getByText('1 online').waitFor();
  await page.waitForTimeout(500); // emoji come with a font
}

async function draw(name, options, colorScheme, prepare) {
  const context = await browser.newContext({ ...options, colorScheme, reducedMotion: 'reduce' });
  const page = await context.newPage();
  const stop = await prepare(page);
  const file = join(root, 'docs', 'images', `${name}.png`);
  await sharp(await page.screenshot())
    .png({ palette: true, colours: COLOURS, effort: 10 })
    .toFile(file);
  await stop?.();
  await context.close();
  const { size } = statSync(file);
  if (size > MAX_BYTES) throw new Error(`${file} has ${size} bytes, more than ${MAX_BYTES}`);
  console.log(`${file}: ${size} bytes`);
}
