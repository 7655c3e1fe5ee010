/**
 * Decides whether every message that was acknowledged reached every member once and in order. It only judges what it is told;
 * it neither sends nor receives.
 *
 * A stream is one socket's view of one room. Its two counters (seq_no, rev) walk alike:
 *
 *   expects n ── n arrives ──► expects n+1
 *       │  ╲── m > n arrives ─► n … m-1 are missing, expects m+1
 *       │
 *       ├── a missing one arrives ────► misordered (no longer missing)
 *       ├── a missing one is synced ──► healed (after `resync` or a lost connection)
 *       └── one seen before arrives ──► repeated, unless a sync had brought it already
 *
 * What is missing at the end, up to the room's head as the server tells it, is lost. A ledger holds for each room which message
 * has which number, so that all sockets, and the acknowledgement, must say the same.
 */
import { createFaults, type Faults } from './faults.js';
import { describeKey } from './frame-layout.js';

/** One of a stream's two counters. */
interface Walk {
  next: number;
  missing: Set<number> | undefined;
  /** Highest number that a sync brought: live frames up to here may come a second time without fault. */
  syncedThrough: number;
}

/** Which message has which number in a room; index = seq_no - firstSeq. Key -1: not seen here. */
export interface RoomLedger {
  readonly roomId: string;
  readonly firstSeq: number;
  keys: Float64Array;
  revs: Float64Array;
}

/** One socket's view of one room. */
export interface Stream {
  readonly socket: number;
  readonly ledger: RoomLedger;
  readonly seq: Walk;
  readonly rev: Walk;
  /** Syncs begun by `resync` frames and not yet answered in full. */
  healing: number;
}

/** Head of a room, as REST gives it after the last send. */
export interface RoomHead {
  readonly headSeq: number;
  readonly headRev: number;
}

/** What the checker saw beside faults. */
export interface CheckCounts {
  deliveries: number;
  healed: number;
  overlaps: number;
}

export interface Checker {
  readonly counts: CheckCounts;
  readonly faults: Faults;
  /** A room, whose head was `headSeq` when its members joined. */
  openLedger(roomId: string, headSeq: number): RoomLedger;
  /** A socket joined a room at this head. */
  openStream(socket: number, ledger: RoomLedger, headSeq: number, headRev: number): Stream;
  /** A live `new_message`. */
  delivered(stream: Stream, seqNo: number, rev: number, key: number): void;
  /** A live event that takes a rev but is no new message. */
  changed(stream: Stream, rev: number): void;
  /** A message out of `synced` or `resumed`. @returns true if the stream had not got it before. */
  synced(stream: Stream, seqNo: number, rev: number, key: number): boolean;
  /** A sync covered all changes through `rev`. */
  syncCovered(stream: Stream, rev: number): void;
  /** What a `sync` must ask for: the last rev before the first missing one. */
  contiguousRev(stream: Stream): number;
  /** True when nothing up to the head is missing. */
  hasReached(stream: Stream, head: RoomHead): boolean;
  /** Judges a stream at the end of the run. */
  closeStream(stream: Stream, head: RoomHead): void;
  /** Compares an acknowledgement with what was delivered, at the end of the run. */
  checkAck(ledger: RoomLedger, key: number, seqNo: number, rev: number, head: RoomHead): void;
  /** The same for one that doesn't tell a number: the message must have been delivered. */
  checkUnnumberedAck(ledger: RoomLedger, key: number): void;
}

/** A ledger's first size in messages; it doubles as needed. */
const LEDGER_START = 256;

/** Of a jump, only the last so many numbers are remembered as missing: a mad number must not eat the loader's memory. */
const MAX_GAP = 1_000_000;

type Arrival = 'next' | 'ahead' | 'late' | 'repeated' | 'overlap';

function walkFrom(head: number): Walk {
  return { next: head + 1, missing: undefined, syncedThrough: Number.NEGATIVE_INFINITY };
}

function arrive(walk: Walk, value: number): Arrival {
  if (value === walk.next) {
    walk.next = value + 1;
    return 'next';
  }
  if (value > walk.next) {
    walk.missing ??= new Set();
    const from = Math.max(walk.next, value - MAX_GAP);
    for (let absent = from; absent < value; absent += 1) walk.missing.add(absent);
    walk.next = value + 1;
    return 'ahead';
  }
  if (walk.missing?.delete(value) === true) return 'late';
  return value <= walk.syncedThrough ? 'overlap' : 'repeated';
}

function grow(array: Float64Array, length: number): Float64Array {
  const bigger = new Float64Array(length).fill(-1);
  bigger.set(array);
  return bigger;
}

/** Notes in the ledger which message has this number, or compares it. @returns false if another one has it. */
function noteInLedger(ledger: RoomLedger, seqNo: number, rev: number, key: number): boolean {
  const index = seqNo - ledger.firstSeq;
  // Before the run's first: the stream's walk has told it as repeated.
  if (index < 0) return true;
  if (index > ledger.keys.length + MAX_GAP) return false;
  if (index >= ledger.keys.length) {
    const length = Math.max(index + 1, ledger.keys.length * 2);
    ledger.keys = grow(ledger.keys, length);
    ledger.revs = grow(ledger.revs, length);
  }
  const known = ledger.keys[index] as number;
  if (known === -1) {
    ledger.keys[index] = key;
    ledger.revs[index] = rev;
    return true;
  }
  return known === key && ledger.revs[index] === rev;
}

function missingBelow(walk: Walk, head: number): number {
  return (walk.missing?.size ?? 0) + Math.max(0, head + 1 - walk.next);
}

function firstMissing(walk: Walk): number {
  let first = walk.next;
  if (walk.missing !== undefined) for (const value of walk.missing) first = Math.min(first, value);
  return first;
}

/** Makes a checker that has seen nothing. */
export function createChecker(): Checker {
  const counts: CheckCounts = { deliveries: 0, healed: 0, overlaps: 0 };
  const faults = createFaults();

  const where = (stream: Stream, seqNo: number, rev: number) =>
    `socket ${stream.socket} room ${stream.ledger.roomId} seq_no ${seqNo} rev ${rev}`;

  function note(stream: Stream, seqNo: number, rev: number, key: number): void {
    if (noteInLedger(stream.ledger, seqNo, rev, key)) return;
    faults.add(
      'contradicted',
      () => `${where(stream, seqNo, rev)}: ${describeKey(key)}, but another socket saw another`,
    );
  }

  function delivered(stream: Stream, seqNo: number, rev: number, key: number): void {
    counts.deliveries += 1;
    if (seqNo === stream.seq.next && rev === stream.rev.next) {
      stream.seq.next = seqNo + 1;
      stream.rev.next = rev + 1;
      note(stream, seqNo, rev, key);
      return;
    }
    const expected = `expected seq_no ${stream.seq.next} rev ${stream.rev.next}`;
    const bySeq = arrive(stream.seq, seqNo);
    const byRev = arrive(stream.rev, rev);
    if (bySeq === 'repeated' || byRev === 'repeated') {
      faults.add('repeated', () => `${where(stream, seqNo, rev)}, ${expected}`);
    } else if (bySeq === 'late' || byRev === 'late') {
      faults.add('misordered', () => `${where(stream, seqNo, rev)}, ${expected}`);
    } else if (bySeq === 'overlap' || byRev === 'overlap') {
      counts.overlaps += 1;
    }
    note(stream, seqNo, rev, key);
  }

  function synced(stream: Stream, seqNo: number, rev: number, key: number): boolean {
    const bySeq = arrive(stream.seq, seqNo);
    arrive(stream.rev, rev);
    const isNew = bySeq === 'late' || bySeq === 'next' || bySeq === 'ahead';
    if (isNew) counts.healed += 1;
    stream.seq.syncedThrough = Math.max(stream.seq.syncedThrough, seqNo);
    stream.rev.syncedThrough = Math.max(stream.rev.syncedThrough, rev);
    note(stream, seqNo, rev, key);
    return isNew;
  }

  function syncCovered(stream: Stream, rev: number): void {
    const walk = stream.rev;
    for (const value of walk.missing ?? []) if (value <= rev) walk.missing?.delete(value);
    walk.next = Math.max(walk.next, rev + 1);
    walk.syncedThrough = Math.max(walk.syncedThrough, rev);
  }

  function changed(stream: Stream, rev: number): void {
    const expected = stream.rev.next;
    const arrival = arrive(stream.rev, rev);
    if (arrival === 'late' || arrival === 'repeated') {
      const kind = arrival === 'late' ? 'misordered' : 'repeated';
      faults.add(kind, () => `${where(stream, 0, rev)} (a change), expected rev ${expected}`);
    }
  }

  function closeStream(stream: Stream, head: RoomHead): void {
    const lost = missingBelow(stream.seq, head.headSeq);
    const lostRevs = missingBelow(stream.rev, head.headRev);
    const room = `socket ${stream.socket} room ${stream.ledger.roomId}`;
    if (lost > 0) {
      faults.add(
        'lost',
        () => `${room}: ${lost} missing, the first is seq_no ${firstMissing(stream.seq)}`,
        lost,
      );
    } else if (lostRevs > 0) {
      faults.add(
        'lost_revs',
        () => `${room}: ${lostRevs} missing, the first is rev ${firstMissing(stream.rev)}`,
        lostRevs,
      );
    }
    if (stream.seq.next > head.headSeq + 1 || stream.rev.next > head.headRev + 1) {
      faults.add(
        'beyond_head',
        () => `${room}: saw seq_no ${stream.seq.next - 1}, the room's head is ${head.headSeq}`,
      );
    }
    if (stream.healing > 0)
      faults.add('resync_unhealed', () => `${room}: \`resync\` was not followed by a whole \`synced\``);
  }

  function checkAck(ledger: RoomLedger, key: number, seqNo: number, rev: number, head: RoomHead): void {
    const which = () =>
      `${describeKey(key)} acknowledged as seq_no ${seqNo} rev ${rev} in room ${ledger.roomId}`;
    if (seqNo > head.headSeq || rev > head.headRev) {
      faults.add(
        'acked_not_in_room',
        () => `${which()}, but its head is seq_no ${head.headSeq} rev ${head.headRev}`,
      );
      return;
    }
    const index = seqNo - ledger.firstSeq;
    const known = ledger.keys[index] ?? -1;
    if (known === -1) faults.add('acked_not_delivered', which);
    else if (known !== key)
      faults.add('ack_contradicted', () => `${which()}, but delivered there was ${describeKey(known)}`);
    else if (ledger.revs[index] !== rev)
      faults.add('ack_contradicted', () => `${which()}, but delivered with another rev`);
  }

  const deliveredKeys = new WeakMap<RoomLedger, ReadonlySet<number>>();

  function checkUnnumberedAck(ledger: RoomLedger, key: number): void {
    const keys = deliveredKeys.get(ledger) ?? new Set(ledger.keys);
    deliveredKeys.set(ledger, keys);
    if (keys.has(key)) return;
    faults.add('acked_not_delivered', () => `${describeKey(key)} in room ${ledger.roomId}`);
  }

  return {
    counts,
    faults,
    openLedger: (roomId, headSeq) => ({
      roomId,
      firstSeq: headSeq + 1,
      keys: new Float64Array(LEDGER_START).fill(-1),
      revs: new Float64Array(LEDGER_START).fill(-1),
    }),
    openStream: (socket, ledger, headSeq, headRev) => ({
      socket,
      ledger,
      seq: walkFrom(headSeq),
      rev: walkFrom(headRev),
      healing: 0,
    }),
    delivered,
    changed,
    synced,
    syncCovered,
    contiguousRev: (stream) => firstMissing(stream.rev) - 1,
    hasReached: (stream, head) =>
      stream.healing === 0 &&
      missingBelow(stream.seq, head.headSeq) === 0 &&
      missingBelow(stream.rev, head.headRev) === 0,
    closeStream,
    checkAck,
    checkUnnumberedAck,
  };
}
