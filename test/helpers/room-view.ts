import type { Message } from '../../src/protocol/model.js';
import type { Frame, Joined, Synced } from './frames.js';
import { isMark, marked } from './message-marks.js';

/** The latest that a client has seen of a message. `message` is null where it saw it being deleted: an event says no more. */
interface Seen {
  readonly rev: number;
  readonly seq_no: number;
  readonly message: Message | null;
}

/**
 * What a client knows of one room, and whether what the server sent keeps the promises of PROTOCOL §3:
 *
 *     apart ──joined, all changes in it──► live ──resync, or a gap──► behind ──synced up to the head──► live
 *       └────joined with `more`────► behind                              └─► apart (connection lost)
 *
 * While live, revs come as head_rev+1, +2, … and new messages as head_seq+1, +2, …; every other step is written
 * down in `violations`.
 */
export interface RoomView {
  readonly roomId: string;
  /** Every change up to it is known: what to give as `since`. */
  rev(): number;
  /** Whether `sync` is needed: changes between `rev()` and the live stream are missing. */
  behind(): boolean;
  readonly messages: ReadonlyMap<string, Seen>;
  /** The revs that came live, in order of arrival. */
  readonly liveRevs: readonly number[];
  readonly violations: readonly string[];
  joined(since: number, answer: Joined): void;
  synced(since: number, answer: Synced): void;
  event(frame: Frame): void;
  resync(headRev: number): void;
  /** The connection was lost, or the room left. */
  apart(): void;
}

interface ViewOptions {
  /** A slow reader may see a jump of rev before its `resync`; nobody else may. */
  readonly mayMiss?: boolean;
}

export function createRoomView(roomId: string, options: ViewOptions = {}): RoomView {
  const messages = new Map<string, Seen>();
  const liveRevs: number[] = [];
  const violations: string[] = [];
  /** All up to here is known from answers and an unbroken live stream. */
  let known = 0;
  /** The last rev that came live, and null while apart. */
  let live: number | null = null;
  /** Where the live stream began: `known` has to reach it by sync. */
  let liveBase = 0;
  /** The number of the last message that came live; null where a resync left it open. */
  let lastSeq: number | null = null;

  /** Reactions and pins that came while behind: they are laid over what sync brings. */
  let marks: Frame[] = [];

  const broken = (what: string): void => void violations.push(`room ${roomId}: ${what}`);
  const behind = (): boolean => live !== null && known < liveBase;
  const see = (id: string, seen: Seen): void => {
    const before = messages.get(id);
    if (before !== undefined && before.seq_no !== seen.seq_no) broken(`${id} changed its seq_no`);
    if (before === undefined || before.rev < seen.rev) messages.set(id, seen);
  };

  const mark = (frame: Frame): void => {
    const rev = frame.rev ?? 0;
    const id = String(frame.payload.message_id);
    const before = messages.get(id);
    if (before === undefined) return broken(`${frame.type} of the unknown message ${id}`);
    // An event that was rebuilt after a fault may come after the state it led to.
    if (before.message !== null && before.rev < rev)
      see(id, { ...before, rev, message: marked(before.message, frame) });
  };
  const layMarks = (): void => {
    if (behind()) return;
    for (const frame of marks) mark(frame);
    marks = [];
  };

  /** Checks a run of current states as `joined` and `synced` hold it, and takes it in. */
  const catchUp = (
    since: number,
    run: readonly Message[],
    head: number,
    nextSince: number,
    more: boolean,
  ): void => {
    let last = since;
    for (const message of run) {
      if (message.rev <= last) broken(`rev ${message.rev} after ${last} in a run since ${since}`);
      if (message.rev > head) broken(`rev ${message.rev} above the head ${head} in a run since ${since}`);
      last = message.rev;
      see(message.id, { rev: message.rev, seq_no: message.seq_no, message });
    }
    if (nextSince < last || nextSince > head) broken(`next_since ${nextSince} not in ${last}…${head}`);
    if (more && nextSince <= since) broken(`next_since ${nextSince} leads nowhere since ${since}`);
    if (since <= known) known = Math.max(known, more ? nextSince : head);
    // Once the run has met the live stream, all of that is known too.
    if (live !== null && known >= liveBase) known = Math.max(known, live);
    layMarks();
  };

  return {
    roomId,
    messages,
    liveRevs,
    violations,
    rev: () => known,
    behind,
    joined: (since, answer) => {
      live = answer.head_rev;
      liveBase = answer.head_rev;
      lastSeq = answer.head_seq;
      if (answer.messages === undefined) broken('joined with since, yet without messages');
      const more = answer.more ?? false;
      if (more && answer.next_since === undefined) broken('joined with more, yet without next_since');
      catchUp(since, answer.messages ?? [], answer.head_rev, answer.next_since ?? answer.head_rev, more);
    },
    synced: (since, answer) =>
      catchUp(since, answer.messages, answer.head_rev, answer.next_since, answer.more),
    event: (frame) => {
      const rev = frame.rev ?? 0;
      if (live === null) return broken(`rev ${rev} while apart`);
      liveRevs.push(rev);
      if (rev !== live + 1) {
        if (options.mayMiss !== true || rev <= live) broken(`live rev ${rev} after ${live}`);
        lastSeq = null;
        liveBase = Math.max(liveBase, rev); // what lies between has to be synced
      }
      const inStep = !behind();
      live = rev;
      if (inStep) known = Math.max(known, rev);
      if (!isMark(frame)) lastSeq = applyEvent(frame, rev, lastSeq, see, broken);
      else if (inStep) mark(frame);
      else marks.push(frame);
    },
    resync: (headRev) => {
      if (live === null) return broken('resync while apart');
      if (headRev < live) broken(`resync with head ${headRev} after live rev ${live}`);
      live = headRev;
      liveBase = headRev;
      lastSeq = null;
    },
    apart: () => {
      marks = [];
      live = null;
      lastSeq = null;
    },
  };
}

/** Takes in one event of the log; returns the number of the last message that came live. */
function applyEvent(
  frame: Frame,
  rev: number,
  lastSeq: number | null,
  see: (id: string, seen: Seen) => void,
  broken: (what: string) => void,
): number | null {
  const payload = frame.payload as { message?: Message; message_id?: string; seq_no?: number };
  if (frame.type === 'message_deleted') {
    see(String(payload.message_id), { rev, seq_no: Number(payload.seq_no), message: null });
    return lastSeq;
  }
  const { message } = payload;
  if (message === undefined) {
    broken(`${frame.type} without a message`);
    return lastSeq;
  }
  // An event rebuilt after a fault may carry a state that is newer than its rev, never an older one.
  if (message.rev < rev) broken(`${frame.type} of rev ${rev} holds rev ${message.rev}`);
  see(message.id, { rev: message.rev, seq_no: message.seq_no, message });
  if (frame.type !== 'new_message') return lastSeq;
  if (lastSeq !== null && message.seq_no !== lastSeq + 1)
    broken(`new seq_no ${message.seq_no} after ${lastSeq}`);
  return message.seq_no;
}
