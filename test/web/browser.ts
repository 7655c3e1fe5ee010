import { existsSync } from 'node:fs';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { afterAll, afterEach, expect } from 'vitest';
import type { Account } from '../helpers/rest-client.js';

/** Chromium as Debian has it; tests that need one are skipped where the machine has none. */
const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = PATHS.find((path) => existsSync(path));
export const hasBrowser = executablePath !== undefined;

const WAIT_MS = 30_000; // for what should come at once, on a busy machine

let browser: Browser | null = null;
const contexts = new Set<BrowserContext>();
const problems: string[] = [];

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail' && process.env.SHOTS) {
    let n = 0;
    for (const c of contexts)
      for (const p of c.pages())
        await p.screenshot({ path: `${process.env.SHOTS}/fail-${task.id}-${n++}.png` });
  }
  await Promise.all([...contexts].map((context) => context.close()));
  contexts.clear();
  // The page's policy was never in the way of anything, and nothing was thrown.
  expect(problems.splice(0)).toEqual([]);
});
afterAll(async () => {
  await browser?.close();
  browser = null;
});

/** A page of somebody of their own, on the server's demo client. */
export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<Page> {
  browser ??= await chromium.launch({
    ...(executablePath === undefined ? {} : { executablePath }),
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
  const context = await browser.newContext({
    viewport: { width: 1200, height: 800 },
    reducedMotion: 'reduce', // a view that fades in has no contrast yet
    ...options,
  });
  contexts.add(context);
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    const text = message.text();
    if (/content security policy|trusted ?type|refused to/i.test(text)) problems.push(text);
  });
  await page.goto(url);
  return page;
}

export async function logIn(
  page: Page,
  { email, password }: Pick<Account, 'email' | 'password'>,
): Promise<void> {
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('navigation', { name: 'Rooms' }).waitFor();
}

/** A page on which somebody registered is logged in, and a room is open. */
export async function pageOf(
  url: string,
  account: Pick<Account, 'email' | 'password'>,
  room: string | null = null,
  options: BrowserContextOptions = {},
): Promise<Page> {
  const page = await openPage(url, options);
  await logIn(page, account);
  if (room !== null) await openRoom(page, room);
  return page;
}

export async function openRoom(page: Page, name: string): Promise<void> {
  const exactly = name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  const rooms = page.getByRole('navigation', { name: 'Rooms' });
  await rooms.getByRole('button', { name: new RegExp(`^${exactly}(, |$)`) }).click();
  await page.getByRole('textbox', { name: `Message to ${name}`, exact: true }).waitFor();
}

export const composer = (page: Page) => page.getByRole('textbox', { name: /^Message to / });
export const timeline = (page: Page) => page.getByRole('list', { name: /^Messages in / });
export const rowOf = (page: Page, text: string) =>
  timeline(page).getByRole('listitem').filter({ hasText: text });

export async function say(page: Page, text: string): Promise<void> {
  await composer(page).fill(text);
  await composer(page).press('Enter');
}

/** Chooses something of a message's menu. */
export async function choose(page: Page, text: string, action: string): Promise<void> {
  const row = rowOf(page, text).first();
  await row.hover();
  await row.getByRole('button', { name: /^Actions on/ }).click();
  await page.getByRole('menuitem', { name: action, exact: true }).click();
}

/** What is shown of the messages, in order, by those of whose text `pattern` is a part. */
export async function shownTexts(page: Page, pattern: RegExp): Promise<string[]> {
  const texts = await timeline(page).locator('.text').allTextContents();
  return texts.flatMap((text) => pattern.exec(text)?.[0] ?? []);
}
