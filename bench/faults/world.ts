/** Accounts, rooms and clients on some nodes, who talk until told to stop; then everything is read and judged. */
import { setTimeout as sleep } from 'node:timers/promises';
import { check, DEFAULT_LIMITS, type Limits, type Verdict } from './check.js';
import { createClient, type FaultClient } from './client.js';
import { createRecorder, type FinalRoom, type Recorder } from './history.js';

const REST_WITHIN_MS = 10_000;
const SETTLE_WITHIN_MS = 60_000; // unless told otherwise: everybody has everything by then, or something is wrong
const READ_EVERY_MS = 250;
const GUEST_EVERY_MS = 5_000;

export interface WorldOptions {
  /** The origins (`http://host:port`) of the nodes that may be used now. */
  readonly origins: () => readonly string[];
  readonly clients: number;
  readonly rooms: number;
  /** Sends under way of each client, and the pause after each. */
  readonly depth: number;
  readonly pauseMs: number;
  readonly limits?: Limits;
  /** How long the end may take to come to rest. */
  readonly settleMs?: number;
}

export interface Totals {
  readonly sent: number;
  readonly acked: number;
  /** For good: the guest's, while he is no member. */
  readonly refused: number;
  readonly delivered: number;
  readonly connects: number;
}

export interface World {
  readonly clients: readonly FaultClient[];
  readonly rooms: readonly string[];
  totals(): Totals;
  /** Events that the guest was sent more than the time that I9 allows after his removal: none, in a correct server. */
  guestHeard(): number;
  /** Stops sending, waits until all is at rest, reads every room, and says what is wrong. */
  judge(): Promise<Verdict[]>;
}

interface Person {
  readonly id: string;
  readonly name: string;
  readonly token: string;
}

type Answer = { readonly status: number; readonly data: never; readonly page?: { next: string | null } };

async function call(
  origin: string,
  method: string,
  path: string,
  token?: string,
  body?: unknown,
): Promise<Answer> {
  const response = await fetch(`${origin}/api/v1${path}`, {
    method,
    signal: AbortSignal.timeout(REST_WITHIN_MS),
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, ...((await response.json()) as object) } as Answer;
}

/** Until it succeeds: nodes come and go. */
async function insist(
  origins: () => readonly string[],
  method: string,
  path: string,
  token?: string,
  body?: unknown,
) {
  for (let attempt = 0; ; attempt++) {
    const origin = pick(origins());
    const answer = await call(origin, method, path, token, body).catch(() => null);
    if (answer !== null && answer.status < 300) return answer;
    if (attempt > 200) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    await sleep(100);
  }
}

function pick<T>(of: readonly T[]): T {
  const one = of[Math.floor(Math.random() * of.length)];
  if (one === undefined) throw new Error('nothing to pick from');
  return one;
}

export async function startWorld(options: WorldOptions): Promise<World> {
  const { origins } = options;
  const recorder = createRecorder();
  const people: Person[] = [];
  for (let i = 0; i < options.clients; i++) people.push(await register(origins, `c${i}`));
  const [owner, guest] = [pick(people.slice(0, 1)), pick(people.slice(-1))];
  const rooms: string[] = [];
  for (let i = 0; i < options.rooms; i++) {
    const body = { name: `faults ${i}`, type: 'public', member_ids: people.slice(1).map(({ id }) => id) };
    const { data } = await insist(origins, 'POST', '/rooms', owner.token, body);
    rooms.push((data as { id: string }).id);
  }
  const clients = people.map(({ id, name, token }, i) =>
    createClient({
      name,
      userId: id,
      token,
      rooms,
      url: () => {
        const usable = origins();
        const origin = usable[(i + Math.floor(Math.random() * 2)) % usable.length] ?? '';
        return `${origin.replace('http', 'ws')}/api/v1/ws`;
      },
      recorder,
      depth: options.depth,
      pauseMs: options.pauseMs,
    }),
  );
  let over = false;
  const stopped = () => over;
  const running = clients.map((client) => client.run(stopped));
  const asides = [
    readNow(origins, clients, rooms, recorder, stopped),
    comeAndGo(origins, owner, guest, rooms, recorder, stopped),
  ];

  const totals = (): Totals => {
    const sum = (of: (client: FaultClient) => number) => clients.reduce((all, client) => all + of(client), 0);
    return {
      sent: sum(({ counts }) => counts.sent),
      acked: sum(({ counts }) => counts.acked),
      refused: sum(({ counts }) => counts.refused),
      delivered: sum(({ counts }) => counts.delivered),
      connects: sum(({ counts }) => counts.connects),
    };
  };

  return {
    clients,
    rooms,
    totals,
    guestHeard: () => recorder.heardRemoved(guest.name, (options.limits ?? DEFAULT_LIMITS).revokedMs),
    async judge() {
      over = true;
      const settleMs = options.settleMs ?? SETTLE_WITHIN_MS;
      await Promise.race([Promise.all(running), sleep(settleMs)]);
      await Promise.all(asides);
      const finals: FinalRoom[] = [];
      for (const room of rooms) finals.push(await restingRoom(origins, owner.token, room, clients, settleMs));
      for (const client of clients) client.end();
      const users = new Map(people.map(({ id, name }) => [id, name]));
      return check(recorder.finish(finals, users), options.limits);
    },
  };
}

async function register(origins: () => readonly string[], name: string): Promise<Person> {
  const username = `${name}-${Math.random().toString(36).slice(2, 10)}`;
  const body = { username, email: `${username}@example.org`, password: `password of ${username}` };
  const { data } = await insist(origins, 'POST', '/auth/register', undefined, body);
  const { user, token } = data as { user: { id: string }; token: string };
  return { id: user.id, name, token };
}

/** Reads rooms over REST from any node while all goes on (I4), and whether what was just seen is there (I8). */
async function readNow(
  origins: () => readonly string[],
  clients: readonly FaultClient[],
  rooms: readonly string[],
  recorder: Recorder,
  stopped: () => boolean,
): Promise<void> {
  while (!stopped()) {
    const [client, room] = [pick(clients), pick(rooms)];
    const begunAt = performance.now();
    const answer = await call(pick(origins()), 'GET', `/rooms/${room}/messages?limit=30`, client.token).catch(
      () => null,
    );
    if (answer?.status === 200) {
      const seqs = (answer.data as { seq_no: number }[]).map(({ seq_no }) => seq_no);
      recorder.note(client.name, room, { op: 'read', seqs, begunAt });
    }
    const fresh = client.newest();
    if (fresh !== null) {
      const found = await call(pick(origins()), 'GET', `/messages/${fresh.id}`, client.token).catch(
        () => null,
      );
      if (found?.status === 200 || found?.status === 404)
        recorder.note(client.name, fresh.room, { op: 'probe', id: fresh.id, found: found.status === 200 });
    }
    await sleep(READ_EVERY_MS);
  }
}

/** The guest is removed from the last room now and then, and added again. */
async function comeAndGo(
  origins: () => readonly string[],
  owner: Person,
  guest: Person,
  rooms: readonly string[],
  recorder: Recorder,
  stopped: () => boolean,
): Promise<void> {
  const room = rooms.at(-1) ?? '';
  let member = true;
  for (;;) {
    for (let waited = 0; waited < GUEST_EVERY_MS && !stopped(); waited += 100) await sleep(100);
    if (stopped() && member) return;
    if (member) {
      await insist(origins, 'DELETE', `/rooms/${room}/members/${guest.id}`, owner.token).catch(
        () => undefined,
      );
      recorder.note(guest.name, room, { op: 'removed' });
    } else {
      recorder.note(guest.name, room, { op: 'member' });
      await insist(origins, 'POST', `/rooms/${room}/members`, owner.token, { user_id: guest.id });
    }
    member = !member;
  }
}

/** Reads a room until nothing changes any more and every client has it all. */
async function restingRoom(
  origins: () => readonly string[],
  token: string,
  room: string,
  clients: readonly FaultClient[],
  settleMs: number,
): Promise<FinalRoom> {
  const head = async () =>
    (await insist(origins, 'GET', `/rooms/${room}`, token)).data as { head_seq: number; head_rev: number };
  const giveUpAt = performance.now() + settleMs;
  for (;;) {
    const { head_seq, head_rev } = await head();
    const messages = await wholeHistory(origins, token, room);
    const isCaughtUp = () => clients.every((client) => client.rev(room) >= head_rev);
    while (!isCaughtUp() && performance.now() < giveUpAt) await sleep(50);
    if ((await head()).head_rev === head_rev || performance.now() > giveUpAt)
      return { room, headSeq: head_seq, headRev: head_rev, messages };
  }
}

interface Row {
  readonly id: string;
  readonly seq_no: number;
  readonly rev: number;
  readonly content: string;
  readonly reactions: readonly { readonly user_ids: readonly string[] }[];
}

async function wholeHistory(origins: () => readonly string[], token: string, room: string) {
  const rows: Row[] = [];
  let before = '';
  do {
    const answer = await insist(origins, 'GET', `/rooms/${room}/messages?limit=100${before}`, token);
    rows.push(...(answer.data as Row[]));
    before = answer.page?.next ? `&before=${answer.page.next}` : '';
  } while (before !== '');
  return rows.reverse().map(({ id, seq_no, rev, content, reactions }) => ({
    id,
    seq: seq_no,
    rev,
    content,
    reactedBy: reactions.flatMap(({ user_ids }) => user_ids),
  }));
}
