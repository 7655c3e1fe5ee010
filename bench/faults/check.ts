/**
 * Judges a history by the promises I1–I12 of docs/guarantees.md, as far as clients can see them: one function a promise
 * or two, each of which gives sentences about what is wrong. Nothing here knows the server.
 */
import type { Entry, FinalRoom, History, Line, SeenMessage } from './history.js';

export interface Verdict {
  readonly promise: string;
  readonly fault: string;
}

export interface Limits {
  /** How long after a removal events may still come (I9), and how long a socket may not know of a gap (I10). */
  readonly revokedMs: number;
  readonly toldMs: number;
  /** How long a command may go without an answer on an open connection (I11). */
  readonly answerMs: number;
}

export const DEFAULT_LIMITS: Limits = { revokedMs: 1_000, toldMs: 10_000, answerMs: 10_000 };
const SHOWN_MAX = 200; // one cause can show in thousands of places

type Of<Op extends Entry['op']> = Line & { readonly entry: Extract<Entry, { op: Op }> };

export function check(history: History, limits: Limits = DEFAULT_LIMITS): Verdict[] {
  const rooms = new Map(history.rooms.map((room) => [room.room, room]));
  const found: Verdict[] = [];
  const add = (promise: string, faults: readonly string[]) => {
    for (const fault of faults) if (found.length < SHOWN_MAX) found.push({ promise, fault });
  };
  add('I1 acknowledged is committed', acksAreKept(history, rooms));
  add('I2 numbers have no gap', history.rooms.flatMap(numbersAreWhole));
  add('I3 one id is one message', idsAreOnce(history));
  add('I4 who sees n can read up to n', readsCoverWhatWasSeen(history));
  add('I5 a stream is every change once and in order', streamsAreWhole(history, rooms));
  add('I6 what was seen is what history says', seenIsKept(history, rooms));
  add('I7 a sender’s messages keep their order', ordersAreKept(history));
  add('I8 nothing is broadcast before it is committed', seenIsCommitted(history, rooms));
  add('I9 who is removed hears no more', removedHearNothing(history, limits));
  add('I10 who missed something knows', everybodyIsTold(history, limits));
  add('I11 every command is answered', commandsAreAnswered(history, limits));
  add('I12 reactions commute', reactionsAreCounted(history));
  return found;
}

function only<Op extends Entry['op']>(history: History, op: Op): Of<Op>[] {
  return history.lines.filter((line): line is Of<Op> => line.entry.op === op);
}

function byId(room: FinalRoom | undefined): Map<string, SeenMessage> {
  return new Map(room?.messages.map((message) => [message.id, message]));
}

function grouped<T extends Line>(lines: readonly T[], key: (line: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const line of lines) {
    const group = groups.get(key(line));
    if (group === undefined) groups.set(key(line), [line]);
    else group.push(line);
  }
  return groups;
}

function acksAreKept(history: History, rooms: ReadonlyMap<string, FinalRoom>): string[] {
  const kept = new Map([...rooms].map(([room, final]) => [room, byId(final)]));
  return only(history, 'ack').flatMap(({ client, room, entry }) => {
    const message = kept.get(room)?.get(entry.id);
    if (message === undefined) return [`${client}: ${entry.id}, acknowledged as ${entry.seq}, is lost`];
    if (message.seq !== entry.seq)
      return [`${client}: ${entry.id}, acknowledged as ${entry.seq}, is ${message.seq}`];
    return message.rev < entry.rev ? [`${client}: ${entry.id} has rev ${message.rev} < ${entry.rev}`] : [];
  });
}

function numbersAreWhole({ room, messages, headSeq, headRev }: FinalRoom): string[] {
  const faults = messages.flatMap(({ seq }, i) =>
    seq === i + 1 ? [] : [`${room}: seq ${seq} in place ${i + 1}`],
  );
  if (messages.length !== headSeq) faults.push(`${room}: ${messages.length} messages, head ${headSeq}`);
  const newest = messages.reduce((most, { rev }) => Math.max(most, rev), 0);
  if (newest > headRev) faults.push(`${room}: newest rev ${newest}, head ${headRev}`);
  if (new Set(messages.map(({ rev }) => rev)).size !== messages.length) faults.push(`${room}: a rev twice`);
  return faults;
}

function idsAreOnce(history: History): string[] {
  const faults = history.rooms.flatMap(({ room, messages }) =>
    new Set(messages.map(({ id }) => id)).size === messages.length ? [] : [`${room}: an id twice`],
  );
  for (const [id, acks] of grouped(only(history, 'ack'), ({ entry }) => entry.id)) {
    const said = new Set(acks.map(({ entry }) => `seq ${entry.seq} rev ${entry.rev}`));
    if (said.size > 1) faults.push(`${id} was acknowledged as ${[...said].join(' and as ')}`);
  }
  return faults;
}

/** Lines of one client about one room, in their order. */
function perStream(history: History): Map<string, Line[]> {
  return grouped([...history.lines], ({ client, room }) => `${client} in ${room}`);
}

function readsCoverWhatWasSeen(history: History): string[] {
  const faults: string[] = [];
  for (const [who, lines] of perStream(history)) {
    const seen: { at: number; seq: number }[] = []; // in the order of time
    for (const { at, entry } of lines) {
      if (entry.op === 'event' && entry.type === 'new_message' && entry.message !== null)
        seen.push({ at, seq: entry.message.seq });
      if (entry.op !== 'read') continue;
      const known = seen.findLast((each) => each.at < entry.begunAt)?.seq ?? 0;
      const newest = entry.seqs[0] ?? 0;
      if (newest < known) faults.push(`${who}: had seen ${known}, read up to ${newest}`);
      const isWhole = entry.seqs.every((seq, i) => i === 0 || seq === (entry.seqs[i - 1] ?? 0) - 1);
      if (!isWhole) faults.push(`${who}: read with a gap: ${entry.seqs.join(' ')}`);
    }
  }
  return faults;
}

function streamsAreWhole(history: History, rooms: ReadonlyMap<string, FinalRoom>): string[] {
  const faults: string[] = [];
  for (const [who, lines] of perStream(history)) {
    const stream = { position: null as number | null, live: 0, aside: 0, resyncing: false };
    let member = true;
    for (const { entry } of lines) {
      if (entry.op === 'removed' || entry.op === 'member') member = entry.op === 'member';
      const fault = follow(stream, entry);
      if (fault !== null) faults.push(`${who}: ${fault}`);
    }
    const { position } = stream;
    const head = rooms.get(lines[0]?.room ?? '')?.headRev ?? 0;
    if (member && position !== null && position < head)
      faults.push(`${who}: ends at ${position}, head ${head}`);
  }
  return faults;
}

/** One client's place in a room: by what it has, by what came live, and by what was read beside the stream. */
interface Place {
  position: number | null;
  live: number;
  aside: number;
  resyncing: boolean;
}

/** Moves on by one entry; gives what is wrong with it. */
function follow(place: Place, entry: Entry): string | null {
  const { position } = place;
  if (entry.op === 'resync') place.resyncing = true;
  if (entry.op === 'covered') {
    const isFaulty = position !== null && entry.since !== null && entry.since > position && !place.resyncing;
    place.position = Math.max(position ?? 0, entry.rev);
    place.resyncing = entry.more;
    if (entry.aside) place.aside = Math.max(place.aside, entry.rev);
    return isFaulty ? `covered from ${entry.since}, was at ${position}` : null;
  }
  if (entry.op !== 'event') return null;
  const { rev } = entry;
  const { live, resyncing } = place;
  place.position = Math.max(position ?? 0, rev);
  place.live = Math.max(live, rev);
  if (position === null) return `rev ${rev} before the stream began`;
  if (resyncing) return null;
  if (rev <= live || (rev <= position && rev > place.aside)) return `rev ${rev} again, was at ${position}`;
  return rev > position + 1 ? `rev ${rev} after ${position}` : null;
}

function seenMessages(history: History): { line: Line; message: SeenMessage }[] {
  return history.lines.flatMap((line) => {
    const { entry } = line;
    if (entry.op === 'event' && entry.message !== null) return [{ line, message: entry.message }];
    if (entry.op === 'covered') return entry.messages.map((message) => ({ line, message }));
    return [];
  });
}

function seenIsKept(history: History, rooms: ReadonlyMap<string, FinalRoom>): string[] {
  const kept = new Map([...rooms].map(([room, final]) => [room, byId(final)]));
  const faults = seenMessages(history).flatMap(({ line, message }) => {
    const final = kept.get(line.room)?.get(message.id);
    if (final === undefined) return []; // I8 tells of it
    const same = final.seq === message.seq && final.content === message.content && message.rev <= final.rev;
    return same ? [] : [`${line.client}: saw ${JSON.stringify(message)}, is ${JSON.stringify(final)}`];
  });
  for (const [place, events] of grouped(
    only(history, 'event'),
    ({ room, entry }) => `${room} rev ${entry.rev}`,
  )) {
    const said = new Set(events.map(({ entry }) => `${entry.type} ${entry.message?.id ?? ''}`));
    if (said.size > 1) faults.push(`${place} was ${[...said].join(' and ')}`);
  }
  return faults;
}

/** Of messages sent on one connection after another and never refused: what is sent later has the higher number. */
function ordersAreKept(history: History): string[] {
  const refused = new Set(only(history, 'refused').map(({ entry }) => entry.id));
  const seqs = new Map(only(history, 'ack').map(({ entry }) => [entry.id, entry.seq]));
  const faults: string[] = [];
  const first = only(history, 'send').filter(({ entry }) => entry.attempt === 1);
  for (const [who, sends] of grouped(first, ({ client, room }) => `${client} in ${room}`)) {
    let before = 0;
    for (const { entry } of sends) {
      const seq = seqs.get(entry.id);
      if (seq === undefined || refused.has(entry.id)) continue;
      if (seq < before) faults.push(`${who}: ${entry.id} has ${seq}, an earlier one ${before}`);
      before = Math.max(before, seq);
    }
  }
  return faults;
}

function seenIsCommitted(history: History, rooms: ReadonlyMap<string, FinalRoom>): string[] {
  const kept = new Map([...rooms].map(([room, final]) => [room, byId(final)]));
  const unkept = seenMessages(history).flatMap(({ line, message }) =>
    kept.get(line.room)?.has(message.id) ? [] : [`${line.client}: saw ${message.id}, which isn't there`],
  );
  const unfound = only(history, 'probe').flatMap(({ client, entry }) =>
    entry.found ? [] : [`${client}: saw ${entry.id}, which could not be read then`],
  );
  return [...unkept, ...unfound];
}

function removedHearNothing(history: History, { revokedMs }: Limits): string[] {
  const faults: string[] = [];
  for (const [who, lines] of perStream(history)) {
    let removedAt: number | null = null;
    for (const { at, entry } of lines) {
      if (entry.op === 'removed') removedAt = at;
      if (entry.op === 'member') removedAt = null;
      if (entry.op !== 'event' || removedAt === null || at - removedAt <= revokedMs) continue;
      faults.push(`${who}: heard rev ${entry.rev} ${Math.round(at - removedAt)} ms after the removal`);
    }
  }
  return faults;
}

/** Whoever was connected all the time must have what was acknowledged, or know that it is missing. */
function everybodyIsTold(history: History, { toldMs }: Limits): string[] {
  const faults: string[] = [];
  const end = history.lines.at(-1)?.at ?? 0;
  const acks = grouped(only(history, 'ack'), ({ room }) => room);
  for (const [who, lines] of perStream(history)) {
    const [first] = lines;
    if (first === undefined) continue;
    const lives = history.lives.filter(({ client }) => client === first.client);
    const known = knownAt(lines);
    const away = lines.find(({ entry }) => entry.op === 'removed')?.at ?? Number.POSITIVE_INFINITY;
    for (const { at, entry } of acks.get(first.room) ?? []) {
      const due = at + toldMs;
      const begun = known.begunAt;
      const open = lives.some(({ from, until }) => Math.max(from, begun) < at && until > due);
      if (!open || due > Math.min(end, away)) continue;
      if (firstAtOrAbove(known, entry.rev) > due)
        faults.push(`${who}: rev ${entry.rev} wasn't known ${toldMs} ms after its acknowledgement`);
    }
  }
  return faults;
}

interface Known {
  /** When the stream began; infinite: never. */
  readonly begunAt: number;
  /** When it first had everything up to a rev, or was told that something is missing; revs rise, and so do times. */
  readonly steps: readonly { readonly rev: number; readonly at: number }[];
}

function knownAt(lines: readonly Line[]): Known {
  const steps: { rev: number; at: number }[] = [];
  let begunAt = Number.POSITIVE_INFINITY;
  let most = -1;
  for (const { at, entry } of lines) {
    if (entry.op === 'covered' && most < 0) begunAt = at;
    const tells = entry.op === 'covered' || entry.op === 'event' || entry.op === 'resync';
    const rev = tells ? entry.rev : null;
    if (rev !== null && rev > most) {
      most = rev;
      steps.push({ rev, at });
    }
  }
  return { begunAt, steps };
}

/** By halves: a long run has a hundred thousand steps, and asks for each acknowledged message. Infinite: never. */
function firstAtOrAbove({ steps }: Known, rev: number): number {
  let [low, high] = [0, steps.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((steps[middle]?.rev ?? 0) >= rev) high = middle;
    else low = middle + 1;
  }
  return steps[low]?.at ?? Number.POSITIVE_INFINITY;
}

function commandsAreAnswered(history: History, { answerMs }: Limits): string[] {
  const end = history.lines.at(-1)?.at ?? 0;
  const answers = grouped(
    history.lines.filter(({ entry }) => ['ack', 'reacted', 'refused'].includes(entry.op)),
    ({ client, entry }) => `${client} ${(entry as { id: string }).id}`,
  );
  return [...only(history, 'send'), ...only(history, 'react')].flatMap(({ at, client, entry }) => {
    const due = at + answerMs;
    const answered = (answers.get(`${client} ${entry.id}`) ?? []).some(
      (line) => line.at >= at && line.at <= due,
    );
    const open = history.lives.some((life) => life.client === client && life.from <= at && life.until > due);
    if (answered || !open || due > end) return [];
    return [`${client}: ${entry.op} ${entry.id} had no answer within ${answerMs} ms`];
  });
}

/** Everybody adds and removes one emoji of his own, one command after the other: the last acknowledged one holds. */
function reactionsAreCounted(history: History): string[] {
  const last = new Map<string, { client: string; add: boolean; open: boolean }>();
  for (const { client, entry } of history.lines) {
    if (entry.op === 'react') last.set(`${client} ${entry.id}`, { client, add: entry.add, open: true });
    if (entry.op === 'reacted') last.set(`${client} ${entry.id}`, { client, add: entry.add, open: false });
  }
  const reacted = new Map(
    history.rooms.flatMap(({ messages }) =>
      messages.map(
        ({ id, reactedBy }) => [id, reactedBy.map((user) => history.users.get(user) ?? user)] as const,
      ),
    ),
  );
  return [...last].flatMap(([key, { client, add, open }]) => {
    const id = key.slice(client.length + 1);
    const has = reacted.get(id)?.includes(client) ?? false;
    if (open || has === add) return [];
    return [
      `${client} ${add ? 'added to' : 'removed from'} ${id}, which ${has ? 'has' : 'has not'} his reaction`,
    ];
  });
}
