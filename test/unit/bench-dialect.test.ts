import { describe, expect, it } from 'vitest';
import { createChecker } from '../../bench/load/checker.js';
import { dialectOf } from '../../bench/load/dialects.js';
import { contentPrefix, messageIdWriter, messageKey } from '../../bench/load/frame-layout.js';
import { idTailOf, type Members } from '../../bench/load/frame-read.js';
import { emptyScan } from '../../bench/load/frame-scan.js';
import { scanJsonFrame } from '../../bench/load/frame-scan-json.js';
import { createFollower } from '../../bench/load/room-follower.js';

const ROOM = '01890a5d-ac96-774b-bcce-b302099a8057';
const idOf = messageIdWriter(3, 1);

function message(number: number, seqNo: number, rev: number) {
  return { id: idOf(number, 0), seq_no: seqNo, rev, content: `${contentPrefix(1_000)}}{"x]` };
}

describe('the dialect of Socket.IO', () => {
  const dialect = dialectOf('socket.io');
  const open = (text: string) => {
    const bytes = Buffer.from(`junk${text}junk`);
    const { kind, start, end, reply } = dialect.unwrap(bytes, 4, bytes.length - 4, 'secret');
    return { kind, text: bytes.toString('utf8', start, end), reply };
  };

  it('finds the frame in an event, in an event with the offset of a recoverable session, and in an acknowledgement', () => {
    const frame = JSON.stringify({ type: 'new_message', payload: { message: message(1, 2, 3) } });
    for (const text of [
      `42["frame",${frame}]`,
      `42["frame",${frame},"1700000000000-0"]`,
      `43117[${frame}]`,
    ]) {
      expect(open(text)).toMatchObject({ kind: 'frame', text: frame });
    }
  });

  it('lets the scanner read a delivery in place', () => {
    const frame = { type: 'new_message', room_id: ROOM, rev: 9, payload: { message: message(5, 8, 9) } };
    const bytes = Buffer.from(`42["frame",${JSON.stringify(frame)},"1-0"]`);
    const { start, end } = dialect.unwrap(bytes, 0, bytes.length, '');
    const found = emptyScan();
    expect(scanJsonFrame(bytes, start, end, found)).toBe(true);
    expect(found).toMatchObject({
      kind: 'new_message',
      roomTail: idTailOf(ROOM),
      seqNo: 8,
      rev: 9,
      idTail: 5,
    });
  });

  it('answers the opening with the token and a ping with a pong, and passes nothing of that on', () => {
    expect(open('0{"sid":"x","upgrades":[]}')).toMatchObject({ kind: 'none', reply: '40{"token":"secret"}' });
    expect(open('2')).toMatchObject({ kind: 'none', reply: '3' });
    expect(open('40{"sid":"x"}')).toMatchObject({ kind: 'none', reply: undefined });
  });

  it('tells a refused connection', () => {
    expect(open('44{"message":"unauthenticated"}').kind).toBe('refused');
    expect(open('41').kind).toBe('refused');
  });

  it('asks for an acknowledgement of a message and of nothing else', () => {
    const text = dialect.message({ roomId: ROOM, number: 12, ref: 1_000_000_012, id: 'i', content: 'c' });
    expect(text).toMatch(/^4212\["frame",\{"type":"send_message",.*\}\]$/);
    expect(dialect.control({ type: 'x' })).toBe('42["frame",{"type":"x"}]');
  });
});

describe('a socket that comes back', () => {
  function scene() {
    const checker = createChecker();
    const sent: Members[] = [];
    const recovered: number[] = [];
    const ledger = checker.openLedger(ROOM, 10);
    const host = {
      rooms: [{ id: ROOM, headSeq: 10, headRev: 12 }],
      checker,
      ledgerOf: () => ledger,
      recovered: (sentAtMicros: number) => recovered.push(sentAtMicros),
      resyncCame: () => undefined,
    };
    const follower = createFollower(host, 0, [0], (frame) => sent.push(frame));
    const read = (type: string, payload: Members, ref?: number) =>
      follower.read({ type, roomId: ROOM, rev: undefined, ref, payload });
    follower.join();
    read('joined', { head_seq: 10, head_rev: 12 }, 0);
    const stream = [...follower.streams.values()][0]?.stream;
    if (stream === undefined) throw new Error('not joined');
    checker.delivered(stream, 11, 13, messageKey(3, 1));
    follower.resume(false);
    return { checker, follower, stream, sent, recovered, read };
  }

  const HEAD = { headSeq: 14, headRev: 16 };
  const missed = [message(2, 12, 14), message(3, 13, 15), message(4, 14, 16)];

  it('resumes from the last rev it has, and is whole once it has everything up to the head', () => {
    const { checker, follower, stream, sent, recovered, read } = scene();
    expect(sent.at(-1)).toEqual({ type: 'resume', payload: { rooms: [{ room_id: ROOM, since: 13 }] } });
    expect(follower.isWhole()).toBe(false);
    expect(read('resumed', { rooms: [{ room_id: ROOM, head_rev: 16, messages: missed }] })).toBeUndefined();
    expect(follower.isWhole()).toBe(true);
    expect(recovered).toEqual([1_000, 1_000, 1_000]);
    checker.closeStream(stream, HEAD);
    expect(checker.faults.summaries()).toEqual([]);
  });

  it('goes on with sync where there is more than one answer holds', () => {
    const { checker, follower, stream, sent, read } = scene();
    read('resumed', {
      rooms: [{ room_id: ROOM, head_rev: 16, messages: missed.slice(0, 1), more: true, next_since: 14 }],
    });
    expect(follower.isWhole()).toBe(false);
    expect(sent.at(-1)).toMatchObject({ type: 'sync', room_id: ROOM, payload: { since: 14 } });
    read('synced', { head_rev: 16, messages: missed.slice(1), more: false });
    expect(follower.isWhole()).toBe(true);
    checker.closeStream(stream, HEAD);
    expect(checker.faults.summaries()).toEqual([]);
  });

  it('asks again for what was put off, and for nothing that has an answer', () => {
    const { checker, follower, stream, sent, read } = scene();
    follower.resume(true);
    expect(sent.at(-1)).toEqual({ type: 'resume', payload: { rooms: [{ room_id: ROOM, since: 13 }] } });
    const answer = { rooms: [{ room_id: ROOM, head_rev: 16, messages: missed }] };
    read('resumed', answer);
    expect(follower.isWhole()).toBe(true);
    const asked = sent.length;
    follower.resume(true);
    expect(sent).toHaveLength(asked);
    read('resumed', answer); // of the first asking, which was late rather than refused
    expect(follower.isWhole()).toBe(true);
    checker.closeStream(stream, HEAD);
    expect(checker.faults.summaries()).toEqual([]);
  });

  it('tells a message that the resume left out as lost', () => {
    const { checker, stream, read } = scene();
    read('resumed', { rooms: [{ room_id: ROOM, head_rev: 16, messages: missed.toSpliced(1, 1) }] });
    checker.closeStream(stream, HEAD);
    expect(checker.faults.summaries()).toMatchObject([{ kind: 'lost', count: 1 }]);
  });

  it('tells a room that was not resumed', () => {
    const { read } = scene();
    expect(read('resumed', { rooms: [{ room_id: ROOM, code: 'not_found', error: 'gone' }] })).toContain(
      'not_found',
    );
  });
});
