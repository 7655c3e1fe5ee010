/**
 * A bot that answers. It signs in (or registers), joins a public room, and answers each message `!echo TEXT` with TEXT and a
 * thumb, exactly once, also what was asked while it was away and however often it is killed: it keeps its place in a file,
 * and an answer's id is made from the question's, so that a second try is no second answer.
 *
 *     BOT_PASSWORD=… node examples/bot.mjs --url http://127.0.0.1:8080 --room ROOM_ID --name echo-bot --state bot.json
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { createApi, createClient, createSession } from '../dist/client/src/index.js';

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:8080' },
    room: { type: 'string' },
    name: { type: 'string', default: 'echo-bot' },
    state: { type: 'string', default: 'bot.json' },
  },
});
const { url, room: roomId, name, state: file } = values;
const password = process.env.BOT_PASSWORD ?? '';

/** Who it is signed in as, and the last change of the room that it has dealt with. */
const state = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { tokens: null, position: null };

/** Whole or not at all: a kill in the middle leaves the file before. */
function keep(change) {
  Object.assign(state, change);
  writeFileSync(`${file}.new`, JSON.stringify(state));
  renameSync(`${file}.new`, file);
}

const session = createSession({ url, tokens: state.tokens, save: (tokens) => keep({ tokens }) });
if (state.tokens === null) {
  const email = `${name}@bots.example`;
  await session.register({ username: name, email, password }).catch(() => session.login({ email, password }));
}
const client = createClient({ url, token: session.token, WebSocket });
client.on('signedOut', () => {
  keep({ tokens: null });
  process.exit(1);
});
await client.connect();

const api = createApi(client.http);
await api.joinRoom(roomId);
const room = client.room(roomId);
const events = room.events(); // before joining, which hands out what was missed
// The first time from the room's beginning, later from where it was.
await room.join({ from: state.position ?? { rev: 0, seq: 0 } });
process.stdout.write(
  `${JSON.stringify({ event: 'listening', room: roomId, from: state.position?.rev ?? 0 })}\n`,
);

for await (const event of events) {
  if (event.type === 'reset') for (const message of event.messages) await answer(message);
  else if (event.type === 'new_message') await answer(event.message);
  if (event.rev !== undefined) {
    const seq = event.message?.seq_no ?? 0;
    keep({ position: { rev: event.rev, seq: Math.max(seq, state.position?.seq ?? 0) } });
  }
}

async function answer(message) {
  const [, text] = /^!echo (.+)$/s.exec(message.content) ?? [];
  if (text === undefined || message.user_id === session.user()?.id) return;
  await repeated(() =>
    api.sendMessage(roomId, { id: idOf(message.id), content: text, reply_to: message.id }),
  );
  await room.react(message.id, '👍');
}

/** Goes on until the server has it: the id makes that safe. */
async function repeated(attempt) {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!error.retry) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs ?? 500));
    }
  }
}

/** The one id that an answer to this message can have: a UUID of version 8 out of its hash. */
function idOf(questionId) {
  const hex = createHash('sha256').update(`answer to ${questionId}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
