import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../helpers/deadline.js';
import { dataOf, freshName, newAccount, newRoom, restClient, wholeHistory } from '../helpers/rest-client.js';
import { spawnTracked, startServerWithDatabase } from '../helpers/server-process.js';

const QUESTIONS = 24;

test('the bot of the examples answers each question once, however often it is killed', {
  timeout: 90_000,
}, async () => {
  const server = await startServerWithDatabase();
  const rest = restClient(server.url);
  const person = await newAccount(rest);
  const room = await newRoom(rest, person);
  const directory = await mkdtemp(join(tmpdir(), 'parley-bot-'));
  const name = freshName('bot');
  const args = [
    '--url',
    server.url,
    '--room',
    room.id,
    '--name',
    name,
    '--state',
    join(directory, 'bot.json'),
  ];
  const start = () =>
    spawnTracked(process.execPath, ['examples/bot.mjs', ...args], { BOT_PASSWORD: 'correct horse' });
  const listens = (bot: ReturnType<typeof start>) =>
    until(() => bot.log().some((line) => line.event === 'listening'), 'the bot listens');
  const answers = async () => {
    const history = await wholeHistory(rest, person.token, room.id);
    return history.filter((message) => message.username === name);
  };

  let bot = start();
  try {
    await listens(bot);
    for (let i = 0; i < QUESTIONS; i++) {
      dataOf(await rest.send(person.token, room.id, { content: `!echo answer ${i}` }));
      if (i % 6 !== 3) continue;
      const before = (await answers()).length;
      await until(async () => (await answers()).length > before, 'another answer'); // it is in the middle of it
      bot.kill('SIGKILL');
      await bot.exit;
      dataOf(await rest.send(person.token, room.id, { content: `!echo asked while away ${i}` }));
      bot = start();
      await listens(bot);
    }
    const total = QUESTIONS + QUESTIONS / 6;
    const questions = async () =>
      (await wholeHistory(rest, person.token, room.id)).filter(({ content }) => content.startsWith('!echo'));
    await until(
      async () => (await questions()).every(({ reactions }) => reactions.length > 0),
      'a thumb for each',
    );
    const asked = await questions();
    const given = await answers();
    expect(given).toHaveLength(total);
    expect(given.map(({ content, reply_to }) => [reply_to, `!echo ${content}`]).sort()).toEqual(
      asked.map(({ id, content }) => [id, content]).sort(),
    );
    expect(asked.map(({ reactions }) => reactions.map(({ emoji, count }) => [emoji, count]))).toEqual(
      Array(total).fill([['👍', 1]]),
    );
  } finally {
    bot.kill('SIGKILL');
    await bot.exit;
    await rm(directory, { recursive: true, force: true });
  }
});
