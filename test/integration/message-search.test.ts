import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import postgres from 'postgres';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Room, SearchHit } from '../../src/protocol/model.js';
import { must, until } from '../helpers/deadline.js';
import { readHighlight } from '../helpers/highlight.js';
import { metric } from '../helpers/nodes.js';
import {
  type Account,
  dataOf,
  newAccount,
  newRoom,
  type Rest,
  type RestAnswer,
  refusalOf,
  restClient,
} from '../helpers/rest-client.js';
import { startServerWithDatabase } from '../helpers/server-process.js';

const { resolve } = createRequire(import.meta.url);
const naughty = JSON.parse(
  readFileSync(resolve('big-list-of-naughty-strings/blns.json'), 'utf8'),
) as string[];

const XSS = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '</mark><script>alert(1)</script><mark>',
  '<mark>needle</mark>',
  '"><svg/onload=alert(1)>',
  '&lt;script&gt;needle&lt;/script&gt;',
  "'-alert(1)-'",
  '<needle onclick="needle">',
  '<!-- needle --><![CDATA[needle]]>',
  'https://x.io/?a=<needle>&b=needle#<script>',
  '\u0001needle\u0002 \u0002needle\u0001 \u0003<needle',
  Array.from({ length: 31 }, (_, i) => String.fromCharCode(i + 1)).join('needle<'),
  'needle\u202e<b>\u2028needle\ufeff',
  '<NEEDLE>&needle;&#60;needle',
];

let server: Awaited<ReturnType<typeof startServerWithDatabase>>;
let rest: Rest;
let anna: Account;
let ben: Account;

beforeAll(async () => {
  server = await startServerWithDatabase();
  rest = restClient(server.url);
  [anna, ben] = await Promise.all([newAccount(rest), newAccount(rest)]);
});

async function roomWith(contents: readonly string[]): Promise<Room> {
  const room = await newRoom(rest, anna);
  for (const content of contents) dataOf(await rest.send(anna.token, room.id, { content }));
  return room;
}

/** The contents of what is found, newest first. */
async function found(room: Room, q: string): Promise<string[]> {
  return dataOf(await rest.search(anna.token, room.id, { q })).map(({ content }) => content);
}

/** All pages, in the order of the answer. */
async function allPages(room: Room, q: string, limit: number): Promise<SearchHit[]> {
  const hits: SearchHit[] = [];
  let before: string | null = null;
  do {
    const answer: RestAnswer<SearchHit[]> = await rest.search(anna.token, room.id, {
      q,
      limit,
      ...(before === null ? {} : { before }),
    });
    hits.push(...dataOf(answer));
    before = must(answer.body.page, 'page').next;
  } while (before !== null);
  return hits;
}

describe('a search finds', () => {
  test('words, phrases, either of two, and not a third, the newest first, in this room alone', async () => {
    const contents = ['red apple pie', 'green apple', 'pie of red plums', 'apple red'];
    const room = await roomWith(contents);
    const other = await roomWith(['red apple elsewhere']);
    expect(await found(room, 'apple')).toEqual(['apple red', 'green apple', 'red apple pie']);
    expect(await found(room, 'RED apple')).toEqual(['apple red', 'red apple pie']);
    expect(await found(room, '"red apple"')).toEqual(['red apple pie']);
    expect(await found(room, 'green or plums')).toEqual(['pie of red plums', 'green apple']);
    expect(await found(room, 'red -pie')).toEqual(['apple red']);
    expect(await found(room, '-pie')).toEqual(['apple red', 'green apple']);
    expect(await found(other, 'apple')).toEqual(['red apple elsewhere']);
    expect(await found(room, `${other.id} apple`)).toEqual([]);
  });

  test('whole messages, with what was searched for marked', async () => {
    const room = await roomWith(['One & two, <b>one</b>']);
    const [hit] = dataOf(await rest.search(anna.token, room.id, { q: 'one' }));
    const { highlight, ...message } = must(hit);
    expect(message).toEqual(dataOf(await rest.message(anna.token, message.id)));
    expect(highlight).toBe('<mark>One</mark> &amp; two, &lt;b&gt;<mark>one</mark>&lt;/b&gt;');
  });

  test('what looks like markup', async () => {
    const content = 'if (a <b and c> d) then R&D;';
    const room = await roomWith([content]);
    for (const q of ['and', 'b', 'c', 'd', '"a <b and c> d"', '"<b and"']) {
      expect(await found(room, q), q).toEqual([content]);
    }
  });

  test('words whatever their accents and case', async () => {
    const room = await roomWith(['Café crème ÉTÉ', 'cafe creme ete']);
    for (const q of ['café', 'CAFE', 'ete', 'Été crème', '"cafe creme"'])
      expect(await found(room, q), q).toHaveLength(2);
  });

  test('messages as they are: edited ones by their new words, deleted ones not at all', async () => {
    const room = await roomWith(['alpha one', 'alpha two', 'alpha three']);
    const [three, two] = dataOf(await rest.messages(anna.token, room.id));
    await rest.edit(anna.token, must(three).id, 'beta three');
    await rest.deleteMessage(anna.token, must(two).id);
    expect(await found(room, 'alpha')).toEqual(['alpha one']);
    expect(await found(room, 'beta')).toEqual(['beta three']);
    expect(await found(room, '-nothing')).toEqual(['beta three', 'alpha one']);
  });
});

describe('a search answers', () => {
  test('nothing where the query holds no word', async () => {
    const room = await roomWith(['something or other']);
    for (const q of ['-', '""', '!!!', "'", ':*', '\\', '<->', '&', '🎉', ' \t', "''')) --", '%', '\u0001']) {
      expect(await rest.search(anna.token, room.id, { q }), q).toMatchObject({
        status: 200,
        body: { data: [], page: { has_more: false, next: null } },
      });
    }
  });

  test('any query without an error of the server', async () => {
    const room = await roomWith(['something or other']);
    const queries = naughty.filter(
      (q) => q !== '' && !q.includes('\0') && q.isWellFormed() && [...q].length <= 200,
    );
    for (const q of queries) {
      const { status, body } = await rest.search(anna.token, room.id, { q });
      expect([200, 400], JSON.stringify({ q, body })).toContain(status);
    }
  });

  test('bad_request to more words than it takes, and to cursors that are none', async () => {
    const room = await roomWith(['a']);
    const other = await roomWith(['b']);
    const [foreign] = dataOf(await rest.messages(anna.token, other.id));
    const words = Array.from({ length: 21 }, (_, i) => `w${i}`);
    const refused = async (query: Record<string, string>) =>
      (await rest.search(anna.token, room.id, { q: 'a', ...query })).body;
    expect(await refused({ q: words.join(' ') })).toMatchObject({ code: 'bad_request', field: 'q' });
    expect(await refused({ q: '' })).toMatchObject({ code: 'bad_request', field: 'q' });
    expect(await refused({ before: 'x' })).toMatchObject({ code: 'bad_request', field: 'before' });
    expect(await refused({ before: must(foreign).id })).toMatchObject({
      code: 'bad_request',
      field: 'before',
    });
    expect(dataOf(await rest.search(anna.token, room.id, { q: words.slice(1).join(' ') }))).toEqual([]);
  });

  test('members only: a private room stays hidden, a public one says so', async () => {
    const open = await roomWith(['secret']);
    const hidden = dataOf(await rest.createRoom(anna.token, { name: 'hidden', type: 'private' }));
    const refused = async (id: string) => refusalOf(await rest.search(ben.token, id, { q: 'secret' }));
    expect(await refused(open.id)).toEqual({ status: 403, code: 'not_a_member' });
    expect(await refused(hidden.id)).toEqual({ status: 404, code: 'not_found' });
    await rest.join(ben.token, open.id);
    expect(dataOf(await rest.search(ben.token, open.id, { q: 'secret' }))).toHaveLength(1);
  });

  test('page by page, complete and without repeats while messages are sent', async () => {
    const room = await roomWith(Array.from({ length: 25 }, (_, i) => `word ${i}`));
    let sending = true;
    const sender = (async () => {
      for (let i = 0; sending; i++) await rest.send(anna.token, room.id, { content: `word later ${i}` });
    })();
    const hits = await allPages(room, 'word', 4);
    sending = false;
    await sender;
    const numbers = hits.map(({ seq_no }) => seq_no);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => b - a));
    expect(numbers.slice(-25)).toEqual(Array.from({ length: 25 }, (_, i) => 25 - i));
  });

  test('from before a message, by its number or its id', async () => {
    const room = await roomWith(['word 1', 'word 2', 'word 3']);
    const [, two] = dataOf(await rest.messages(anna.token, room.id));
    for (const before of [2, must(two).id]) {
      const hits = dataOf(await rest.search(anna.token, room.id, { q: 'word', before }));
      expect(hits.map(({ content }) => content)).toEqual(['word 1']);
    }
  });
});

describe('a highlight', () => {
  test('is safe HTML whose text is the content, whatever the content holds', async () => {
    const room = await newRoom(rest, anna);
    const hostile = [...XSS, ...naughty, ...naughty.map((text) => `<${text}>`)]
      .map((text) => `${text} needle`)
      .filter((text) => !text.includes('\0') && text.isWellFormed() && [...text].length <= 5_000);
    for (let at = 0; at < hostile.length; at += 20) {
      const some = hostile.slice(at, at + 20).map((content) => rest.send(anna.token, room.id, { content }));
      for (const sent of await Promise.all(some)) dataOf(sent);
    }
    const hits = await allPages(room, 'needle', 100);
    expect(hits).toHaveLength(hostile.length);
    for (const { content, highlight } of hits) {
      const { text, marked } = readHighlight(highlight);
      expect(text).toBe(content);
      expect(marked.map((part) => part.toLowerCase())).toContain('needle');
    }
  }, 120_000);
});

describe('what is written', () => {
  test('is found at once, and its words are written and merged into their index soon after', async () => {
    const db = postgres(server.database.url, { max: 1 });
    const merges = () => metric(server, 'parley_database_seconds_count', 'operation="mergeWords"');
    const merged = await merges();
    const room = await roomWith(['wombat', 'a wombat']);
    expect(await found(room, 'wombat')).toEqual(['a wombat', 'wombat']);
    await until(async () => {
      const [row] = await db<{ done: boolean }[]>`
        select indexed_seq = 2 as done from search_progress where room_id = ${room.id}`;
      return row?.done;
    }, 'the words');
    await until(async () => (await merges()) > merged, 'the merge');
    await until(async () => (await metric(server, 'parley_search_words_waiting')) === 0, 'the words of all');
    expect(await found(room, 'wombat')).toEqual(['a wombat', 'wombat']);
    await db.end();
  });

  test('is found by its words of now, edited or deleted before or after they are written', async () => {
    const db = postgres(server.database.url, { max: 1 });
    const room = await newRoom(rest, anna);
    const write = async (content: string) => dataOf(await rest.send(anna.token, room.id, { content }));
    const change = async () => {
      const [edited, deleted] = [await write('numbat one'), await write('numbat two')];
      await until(async () => {
        const [row] = await db<{ done: boolean }[]>`
            select indexed_seq >= ${deleted.seq_no} as done from search_progress where room_id = ${room.id}`;
        return row?.done;
      }, 'the words');
      const early = await write('numbat three');
      for (const { id } of [edited, early]) dataOf(await rest.edit(anna.token, id, 'quokka'));
      dataOf(await rest.deleteMessage(anna.token, deleted.id));
    };
    await change();
    expect(await found(room, 'numbat')).toEqual([]);
    expect(await found(room, '-wallaby')).toEqual(['quokka', 'quokka']);
    expect(await found(room, 'quokka')).toEqual(['quokka', 'quokka']);
    const [row] = await db<{ words: number }[]>`
      select count(*)::int as words from message_words where room_id = ${room.id} and search @@ 'numbat'`;
    expect(row?.words).toBe(0);
    await db.end();
  });
});
