/**
 * Two clients talk in one room: ann in JSON with the `ws` package, ben in MessagePack. Both talk on whatever
 * happens to the server: they reconnect, resume from the last rev they know, and send again what was not
 * acknowledged. It ends when both have seen everything, with a verdict: exit 0 when both views are what the history
 * says, else 1. It starts no server.
 *
 *     node examples/conversation.mjs --url http://127.0.0.1:8080 [--messages 12] [--pause 300] [--patience 60]
 *
 * A client's connection:
 *
 *     connecting ──welcome──► resuming ──caught up──► live
 *         ▲                      │                     │
 *         └──── wait a little ◄──┴── connection lost ──┘
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { Packr, Unpackr } from 'msgpackr';
import { WebSocket } from 'ws';

const RECONNECT_FIRST_MS = 100;
const RECONNECT_MAX_MS = 1_000;
const RETRY_MS = 200; // where an error that allows a retry names no time of its own
const RETRIED_CODES = ['overloaded', 'unavailable']; // of a room in `resumed`, which names no `retry`
const PAGE = 100;

const LINES = [
  'Are you there?',
  'Always. What is it?',
  'I am about to pull the plug.',
  'Of the server? In the middle of this?',
  'kill -9, no goodbye.',
  'Then say something worth keeping.',
  'Every acknowledged message is committed.',
  'And what I type meanwhile?',
  'It waits, and keeps its id.',
  'So a second try is no second message.',
  'One id, one message. 👋',
  'Until the next crash, then.',
];

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });
const CODECS = {
  json: { encode: JSON.stringify, decode: (data) => JSON.parse(data.toString('utf8')) },
  msgpack: { encode: (frame) => packr.pack(frame), decode: (data) => unpackr.unpack(data) },
};

const started = performance.now();

function say(who, text) {
  const seconds = ((performance.now() - started) / 1_000).toFixed(2).padStart(6);
  process.stdout.write(`${seconds}  ${who.padEnd(4)}${text}\n`);
}

/** Ends the program: what must not happen has happened. */
function fail(reason) {
  process.stdout.write(`\nFAILED: ${reason}\n`);
  process.exit(1);
}

/** One REST request; gives the whole answer. */
async function rest(base, method, path, { token, body } = {}) {
  const response = await fetch(`${base}/api/v1${path}`, {
    method,
    headers: {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(body ? { 'content-type': 'application/json' } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const answer = await response.json();
  if (!answer.success) fail(`${method} ${path}: ${response.status} ${answer.code}, ${answer.error}`);
  return answer;
}

async function register(base, name) {
  const suffix = randomBytes(4).toString('hex');
  const body = {
    username: `${name}-${suffix}`,
    email: `${name}-${suffix}@example.org`,
    password: randomBytes(12).toString('base64url'),
  };
  const { data } = await rest(base, 'POST', '/auth/register', { body });
  return { id: data.user.id, token: data.token };
}

/**
 * One side of the conversation.
 *
 * @param names user id → how the transcript calls the user
 */
function createTalker({ base, name, encoding, account, roomId, names }) {
  const codec = CODECS[encoding];
  const view = new Map(); // message id → the message as it was seen last
  const outbox = []; // not acknowledged yet, in the order of typing
  const acked = []; // in the order of their acknowledgement
  let rev = 0; // every change up to here is in the view
  let socket = null;
  let live = false;
  let held = []; // events that came while the view was still catching up
  let caughtUp = 0;
  let attempt = 0;
  let connectedBefore = false;
  let stopped = false;

  const send = (type, payload, more = {}) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(codec.encode({ type, payload, ...more }));
  };

  /** One message is under way at a time, so that a retry can't overtake the next one. */
  const sendNext = () => {
    const next = outbox[0];
    if (next === undefined || !live || next.onSocket === socket) return;
    next.tries += 1;
    next.onSocket = socket;
    send('send_message', { id: next.id, content: next.content }, { room_id: roomId, ref: next.id });
  };

  const see = (message, how) => {
    const isNew = !view.has(message.id);
    view.set(message.id, message);
    if (isNew && message.user_id !== account.id)
      say(name, `${how} #${message.seq_no} ${names.get(message.user_id)}: ${message.content}`);
  };

  const onEvent = (frame) => {
    if (!live) return held.push(frame);
    if (frame.rev !== rev + 1) fail(`${name} knows rev ${rev}, and rev ${frame.rev} came next`);
    rev = frame.rev;
    see(frame.payload.message, 'sees');
  };

  /** A part of what was missed, from `resumed` or `synced`. */
  const onMissed = ({ messages, head_rev, next_since, more }) => {
    for (const message of messages ?? []) see(message, 'missed');
    caughtUp += messages?.length ?? 0;
    if (more) return send('sync', { since: next_since, limit: PAGE }, { room_id: roomId });
    if (connectedBefore) say(name, `resumed from rev ${rev} to ${head_rev}: ${caughtUp} caught up`);
    else say(name, `joined, ${encoding}, at rev ${head_rev}`);
    connectedBefore = true;
    rev = head_rev;
    live = true;
    const waiting = held;
    held = [];
    for (const frame of waiting) if (frame.rev > rev) onEvent(frame);
    sendNext();
  };

  const onAck = ({ id, seq_no, duplicate }) => {
    if (outbox[0]?.id !== id) return;
    const { content, tries } = outbox.shift();
    acked.push(id);
    const again = tries > 1 ? ` (try ${tries}${duplicate ? ', the first was committed' : ''})` : '';
    say(name, `sent #${seq_no}${again}: ${content}`);
    sendNext();
  };

  const onError = async (frame) => {
    const { code, error, retry, retry_after_ms } = frame.payload;
    if (!retry) fail(`${name} was refused: ${code}, ${error}`);
    const failedOn = socket;
    await sleep(retry_after_ms ?? RETRY_MS);
    if (failedOn !== socket) return; // a new connection has begun from the start
    if (frame.ref !== outbox[0]?.id) return catchUp();
    outbox[0].onSocket = null;
    sendNext();
  };

  function catchUp() {
    live = false;
    caughtUp = 0;
    send('resume', { rooms: [{ room_id: roomId, since: rev }] });
  }

  const onFrame = (frame) => {
    if (frame.type === 'welcome') {
      attempt = 0;
      catchUp();
    } else if (frame.type === 'resumed') {
      const [room] = frame.payload.rooms;
      if (room?.code) void onError({ payload: { ...room, retry: RETRIED_CODES.includes(room.code) } });
      else if (room) onMissed(room);
    } else if (frame.type === 'synced') onMissed(frame.payload);
    else if (frame.type === 'new_message' || frame.type === 'message_updated') onEvent(frame);
    else if (frame.type === 'message_ack') onAck(frame.payload);
    else if (frame.type === 'resync') catchUp();
    else if (frame.type === 'error') void onError(frame);
  };

  function connect() {
    const mine = new WebSocket(`${base.replace(/^http/, 'ws')}/api/v1/ws`, `parley.${encoding}`, {
      headers: { authorization: `Bearer ${account.token}` },
    });
    socket = mine;
    mine.on('message', (data) => onFrame(codec.decode(data)));
    mine.on('error', () => {}); // 'close' follows
    mine.on('close', async (code) => {
      if (stopped) return;
      if (live) say(name, `connection lost (${code}) at rev ${rev}`);
      if (code === 4_004 || code === 4_010) fail(`${name}'s session has ended (${code})`);
      live = false;
      held = [];
      const waitMs = Math.min(RECONNECT_MAX_MS, RECONNECT_FIRST_MS * 2 ** attempt);
      attempt += 1;
      await sleep(waitMs * (0.5 + Math.random())); // jitter: not all clients at once
      if (!stopped) connect();
    });
  }

  return {
    name,
    connect,
    type: (content) => {
      outbox.push({ id: randomUUID(), content, tries: 0, onSocket: null });
      sendNext();
    },
    ready: () => connectedBefore,
    hasSeen: (count) => outbox.length === 0 && view.size >= count,
    progress: () => acked.length + view.size,
    acked,
    view: () => [...view.values()].sort((one, other) => one.seq_no - other.seq_no),
    stop: () => {
      stopped = true;
      socket?.close();
    },
  };
}

/** Waits until all talkers are as asked; gives up when nothing moves for `patienceMs`. */
async function until(talkers, isSo, patienceMs) {
  let last = '';
  let since = performance.now();
  while (!talkers.every(isSo)) {
    const now = talkers.map((talker) => talker.progress()).join();
    if (now !== last) since = performance.now();
    last = now;
    if (performance.now() - since > patienceMs) fail(`nothing moved for ${patienceMs / 1_000} s`);
    await sleep(20);
  }
}

async function history(base, token, roomId) {
  const messages = [];
  let before = '';
  for (;;) {
    const { data, page } = await rest(
      base,
      'GET',
      `/rooms/${roomId}/messages?limit=${PAGE}${before && `&before=${before}`}`,
      { token },
    );
    messages.unshift(...data.reverse());
    if (!page.has_more) return messages;
    before = page.next;
  }
}

/** What is wrong with a talker's view, beside the history; empty when nothing is. */
function faultsOf(talker, truth) {
  const faults = [];
  const view = talker.view();
  const ids = truth.map((message) => message.id);
  if (!isDeepStrictEqual(view, truth)) faults.push(`${talker.name}'s view is not the history`);
  const numbers = talker.acked.map((id) => ids.indexOf(id));
  if (numbers.includes(-1)) faults.push(`an acknowledged message of ${talker.name} is not in the history`);
  if (numbers.some((number, index) => index > 0 && number <= numbers[index - 1]))
    faults.push(`${talker.name}'s messages are not in the order of sending`);
  return faults;
}

async function main() {
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:8080' },
      messages: { type: 'string', default: String(LINES.length) },
      pause: { type: 'string', default: '300' },
      patience: { type: 'string', default: '60' },
    },
  });
  const base = values.url.replace(/\/$/, '');
  const total = Number(values.messages);
  const patienceMs = Number(values.patience) * 1_000;

  const ann = await register(base, 'ann');
  const ben = await register(base, 'ben');
  const body = { name: 'A conversation', type: 'private', member_ids: [ben.id] };
  const { data: room } = await rest(base, 'POST', '/rooms', { token: ann.token, body });
  const names = new Map([
    [ann.id, 'ann'],
    [ben.id, 'ben'],
  ]);
  const talkers = [
    createTalker({ base, name: 'ann', encoding: 'json', account: ann, roomId: room.id, names }),
    createTalker({ base, name: 'ben', encoding: 'msgpack', account: ben, roomId: room.id, names }),
  ];
  for (const talker of talkers) talker.connect();
  await until(talkers, (talker) => talker.ready(), patienceMs);

  for (let line = 0; line < total; line += 1) {
    talkers[line % talkers.length].type(LINES[line % LINES.length]);
    await sleep(Number(values.pause)); // they type on, connected or not
  }
  await until(talkers, (talker) => talker.hasSeen(total), patienceMs);

  const truth = await history(base, ann.token, room.id);
  const faults = talkers.flatMap((talker) => faultsOf(talker, truth));
  if (truth.length !== total) faults.push(`the history has ${truth.length} messages, ${total} were sent`);
  if (truth.some((message, index) => message.seq_no !== index + 1)) faults.push('a number is missing');
  for (const talker of talkers) talker.stop();
  if (faults.length > 0) fail(faults.join('; '));
  process.stdout.write(
    `\nOK: ${total} messages, numbered 1 to ${total} without a gap; ann's and ben's view are both the history\n`,
  );
}

await main();
