import { beforeAll, describe, expect, test } from 'vitest';
import { picture as pictureOf } from '../helpers/attachments.js';
import { until } from '../helpers/deadline.js';
import {
  type Account,
  dataOf,
  freshName,
  newAccount,
  newRoom,
  type Rest,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { choose, composer, hasBrowser, openPage, pageOf, rowOf, say, timeline } from './browser.js';

const MANY = 5_000; // messages
const ROWS_MAX = 120; // drawn at once: a screen and what is beyond it
const AT_ONCE = 50; // sends under way

describe.skipIf(!hasBrowser)('in Chromium (skipped where the machine has none)', { timeout: 180_000 }, () => {
  let server: Server;
  let rest: Rest;
  let ann: Account;
  let ben: Account;

  beforeAll(async () => {
    server = await startServerWithDatabase();
    rest = restClient(server.url);
    ann = await newAccount(rest, 'ann');
    ben = await newAccount(rest, 'ben');
  });

  test('5,000 messages are scrolled through to the first, and only those near the window are drawn', async () => {
    const room = await newRoom(rest, ann, [ben]);
    for (let n = 0; n < MANY; n += AT_ONCE) {
      const texts = Array.from(
        { length: AT_ONCE },
        (_, i) => `message ${n + i} ${'word '.repeat((n + i) % 60)}`,
      );
      await Promise.all(texts.map((content) => rest.send(ann.token, room.id, { content })));
    }
    const first =
      dataOf(await rest.messages(ann.token, room.id, { limit: 1, after: 0 })).at(0)?.content ?? '';
    const page = await pageOf(server.url, ben, room.name ?? '');
    const rows = timeline(page).getByRole('listitem');
    await rows.last().waitFor();
    let most = 0;
    await until(
      async () => {
        await page.locator('.timeline').evaluate((element) => element.scrollTo(0, 0));
        most = Math.max(most, await rows.count());
        return (
          (await rowOf(page, first.trim().slice(0, 40)).count()) > 0 &&
          (await rows.first().getAttribute('aria-posinset')) === '1'
        );
      },
      'the first message',
      120_000,
    );
    expect(Number(await rows.first().getAttribute('aria-setsize'))).toBe(MANY);
    expect(most).toBeLessThan(ROWS_MAX);
    // What is read stays where it is while others write, and the way back is one step.
    const top = () => page.locator('.timeline').evaluate((element) => element.scrollTop);
    await page.locator('.timeline').evaluate((element) => element.scrollTo(0, 400));
    const before = await until(async () => Math.round(await top()) === 400 && 400, 'the place');
    await rest.send(ann.token, room.id, { content: 'one more' });
    await page.getByRole('button', { name: 'Newest messages' }).waitFor();
    expect(Math.round(await top())).toBe(before);
    await page.getByRole('button', { name: 'Newest messages' }).click();
    await rowOf(page, 'one more').waitFor();
    expect(await rows.count()).toBeLessThan(ROWS_MAX);
  });

  test('a file is uploaded with progress, sent and shown as a thumbnail; pasted and dropped ones too', async () => {
    const room = await newRoom(rest, ann, [ben]);
    const one = await pageOf(server.url, ann, room.name ?? '');
    const two = await pageOf(server.url, ben, room.name ?? '');
    const picture = await pictureOf(640, 480);
    await one.getByLabel('Attach files').setInputFiles([
      { name: 'harbour.png', mimeType: 'image/png', buffer: picture },
      { name: 'list.txt', mimeType: 'text/plain', buffer: Buffer.alloc(300_000, 'x') },
    ]);
    await one.getByRole('progressbar', { name: 'Upload of harbour.png' }).waitFor();
    await say(one, 'Look');
    await until(async () => {
      const send = one.getByRole('button', { name: 'Send' });
      if (await send.isEnabled()) await send.click();
      return (await rowOf(two, 'Look').count()) > 0;
    }, 'the message with its files');
    const image = rowOf(two, 'Look').getByRole('img', { name: 'harbour.png' });
    await until(
      () => image.evaluate((element: HTMLImageElement) => element.naturalWidth > 0),
      'the thumbnail',
    );
    await rowOf(two, 'Look')
      .getByRole('button', { name: /^Open list\.txt, 293\.0 KB/ })
      .waitFor();

    for (const [kind, selector] of [
      ['paste', '#composer'],
      ['drop', '.room-main'],
    ] as const) {
      await one.locator(selector).evaluate((element, type) => {
        const data = new DataTransfer();
        data.items.add(new File(['hello'], `${type}.txt`, { type: 'text/plain' }));
        const event =
          type === 'paste'
            ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true })
            : new DragEvent('drop', { dataTransfer: data, bubbles: true });
        element.dispatchEvent(event);
      }, kind);
      await one.getByRole('progressbar', { name: `Upload of ${kind}.txt` }).waitFor();
    }
    await until(() => one.getByRole('button', { name: 'Send' }).isEnabled(), 'both uploads');
    await one.getByRole('button', { name: 'Send' }).click();
    await two.getByRole('button', { name: /^Open drop\.txt/ }).waitFor();
  });

  test('an admin mutes, promotes, slows, bans and lifts; a member reports; the audit log tells it', async () => {
    const room = await newRoom(rest, ann, [ben]);
    const admin = await pageOf(server.url, ann, room.name ?? '');
    const member = await pageOf(server.url, ben, room.name ?? '');
    const person = () => admin.getByRole('button', { name: new RegExp(`^${ben.username}, `) });
    const does = async (action: string): Promise<void> => {
      await person().click();
      await admin.getByRole('menuitem', { name: action }).click();
    };
    await say(admin, 'Welcome');
    await choose(member, 'Welcome', 'Report');
    await member.getByLabel('Reason').fill('too friendly');
    await member.getByRole('dialog').getByRole('button', { name: 'Report' }).click();

    await admin.getByRole('button', { name: 'Members' }).click();
    await does('Mute for 10 minutes');
    await admin.getByRole('button', { name: /, muted: actions$/ }).waitFor();
    await say(member, 'Am I heard?');
    await rowOf(member, 'Am I heard?')
      .getByText(/^Not sent/)
      .waitFor();
    await does('Unmute');
    await rowOf(member, 'Am I heard?').getByRole('button', { name: 'Retry' }).click();
    await rowOf(admin, 'Am I heard?').waitFor();
    await does('Make moderator');
    await admin.getByRole('button', { name: /, moderator: actions$/ }).waitFor();
    await member.getByRole('button', { name: 'Room', exact: true }).click();
    await member.getByRole('button', { name: 'Audit log' }).click();
    await member.getByRole('complementary').getByText('role changed').waitFor();

    await admin.getByRole('button', { name: 'Room', exact: true }).click();
    await admin.getByLabel('Slow mode').selectOption('30');
    await admin.getByRole('button', { name: 'Save' }).click();
    await member.getByText('slow mode 30 s').waitFor();
    await admin.getByRole('button', { name: 'Members' }).click();
    await does('Ban');
    await admin.getByLabel(/^Reason/).fill('enough');
    await admin.getByRole('dialog').getByRole('button', { name: 'Ban' }).click();
    await member.getByText(`You are no member of ${room.name} any more.`).waitFor();
    await admin.getByRole('button', { name: 'Room', exact: true }).click();
    await admin.getByRole('button', { name: 'Audit log' }).click();
    const log = admin.getByRole('complementary', { name: 'Room' });
    for (const entry of [
      'message reported',
      'member muted',
      'member unmuted',
      'role changed',
      'room updated',
      'member banned',
    ]) {
      await log.getByText(entry).first().waitFor();
    }
    await log.getByText(/too friendly/).waitFor();
    await admin.getByRole('button', { name: 'Bans' }).click();
    await admin.getByRole('button', { name: `Lift the ban of ${ben.username}` }).click();
    await log.getByText('Nobody is banned.').waitFor();
  });

  test('all of it goes by keyboard: log in, open a room, write, react by a menu, read the panels, and back', async () => {
    const room = await newRoom(rest, ann, [ben]);
    const page = await openPage(server.url);
    const { keyboard } = page;
    const focused = () =>
      page.evaluate(
        () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
      );
    const tabTo = (name: RegExp) =>
      until(async () => {
        if (name.test(await focused())) return true;
        await keyboard.press('Tab');
        return false;
      }, `the focus on ${name}`);
    await until(() => page.evaluate(() => document.activeElement?.id.startsWith('field')), 'the first field');
    await keyboard.type(ann.email);
    await keyboard.press('Tab');
    await keyboard.type(ann.password);
    await keyboard.press('Enter');
    await page.getByRole('navigation', { name: 'Rooms' }).waitFor();
    await tabTo(/^room-/);
    await until(async () => {
      if ((await focused()).startsWith(room.name ?? '?')) return true;
      await keyboard.press('ArrowDown');
      return false;
    }, 'the room');
    await keyboard.press('Enter');
    await composer(page).waitFor();
    await tabTo(/^Message to/);
    await keyboard.type('by keys');
    await keyboard.press('Enter');
    await rowOf(page, 'by keys').getByText('Sent').waitFor();
    await keyboard.press('Shift+Tab');
    await until(async () => {
      if ((await focused()).includes('by keys')) return true;
      await keyboard.press('Shift+Tab');
      return false;
    }, 'the message');
    await keyboard.press('Enter');
    await until(async () => (await focused()) === 'React', 'the menu');
    await keyboard.press('Enter');
    await until(async () => (await focused()) === 'thumbs up', 'the picker');
    await keyboard.press('ArrowRight');
    await keyboard.press('Enter');
    await rowOf(page, 'by keys').getByRole('button', { name: '👎 1' }).waitFor();
    await tabTo(/^Message to/);
    await keyboard.press('ArrowUp');
    await page.getByText('Editing a message').waitFor();
    await keyboard.press('Escape');
    await until(async () => (await composer(page).inputValue()) === '', 'the empty composer');
    await until(async () => {
      if ((await focused()) === 'Members') return true;
      await keyboard.press('Shift+Tab');
      return false;
    }, 'the button');
    await keyboard.press('Enter');
    await page.getByRole('complementary', { name: 'Members' }).waitFor();
    await keyboard.press('Escape');
    await page.getByRole('complementary', { name: 'Members' }).waitFor({ state: 'detached' });
    await until(async () => /^Message to/.test(await focused()), 'the focus on the composer');
  });

  test('at 360 pixels nothing scrolls sideways, and there is a way back to the rooms', async () => {
    const room = dataOf(
      await rest.createRoom(ann.token, { name: `${freshName('x').repeat(4)}`, type: 'public' }),
    );
    await rest.send(ann.token, room.id, {
      content: `${'w'.repeat(400)} https://example.org/${'p'.repeat(300)}`,
    });
    const page = await openPage(server.url, { viewport: { width: 360, height: 640 }, hasTouch: true });
    const fits = async (where: string): Promise<void> => {
      const wide = await page.evaluate(() =>
        [
          document.documentElement,
          ...document.querySelectorAll('.timeline, .panel, .sidebar, dialog, .rooms'),
        ]
          .filter((element) => element.getBoundingClientRect().right > innerWidth)
          .map((element) => `${element.tagName}.${element.className} ${element.scrollWidth}`),
      );
      expect(wide, where).toEqual([]);
    };
    await fits('log-in');
    await page.setViewportSize({ width: 1200, height: 760 });
    const form = await page.getByRole('main').boundingBox();
    expect(form?.height, 'a form that is not stretched').toBeLessThan(500);
    await page.setViewportSize({ width: 360, height: 640 });
    await page.getByLabel('Email').fill(ann.email);
    await page.getByLabel('Password').fill(ann.password);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('navigation', { name: 'Rooms' }).waitFor();
    await fits('rooms');
    await page
      .getByRole('navigation')
      .getByRole('button', { name: room.name ?? '' })
      .click();
    await timeline(page).getByRole('listitem').first().waitFor();
    await fits('room');
    expect(await page.getByRole('navigation').count()).toBe(0);
    for (const panel of ['Search', 'Pins', 'Members', 'Room']) {
      await page.getByRole('button', { name: panel, exact: true }).click();
      await page.getByRole('complementary').waitFor();
      await fits(panel);
      await page.getByRole('button', { name: /^Close / }).click();
    }
    await page.getByRole('button', { name: 'Back to the rooms' }).click();
    for (const dialog of ['Create a room', 'Discover rooms', 'Direct message']) {
      await page.getByRole('button', { name: 'New room or message' }).click();
      await page.getByRole('menuitem', { name: dialog }).click();
      await page.getByRole('dialog').waitFor();
      await fits(dialog);
      await page.getByRole('button', { name: 'Close' }).click();
    }
  });
});
