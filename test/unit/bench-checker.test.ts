import { describe, expect, it } from 'vitest';
import { type Checker, createChecker, type RoomLedger, type Stream } from '../../bench/load/checker.js';
import { messageKey } from '../../bench/load/frame-layout.js';
import { createSendBook } from '../../bench/load/send-book.js';

const ROOM = '01890a5d-ac96-774b-bcce-b302099a8057';

/** Two sockets in a room whose head was 10 (rev 12) when they joined; messages have the keys 0, 1, 2 … */
function scene(): { checker: Checker; ledger: RoomLedger; streams: [Stream, Stream] } {
  const checker = createChecker();
  const ledger = checker.openLedger(ROOM, 10);
  return {
    checker,
    ledger,
    streams: [checker.openStream(0, ledger, 10, 12), checker.openStream(1, ledger, 10, 12)],
  };
}

/** Delivers messages by their place after the head: 1 is seq_no 11, rev 13. */
function deliver(checker: Checker, stream: Stream, ...places: number[]): void {
  for (const place of places) checker.delivered(stream, 10 + place, 12 + place, messageKey(0, place));
}

function countsOf(checker: Checker): Record<string, number> {
  return Object.fromEntries(checker.faults.summaries().map((fault) => [fault.kind, fault.count]));
}

const HEAD_AFTER_5 = { headSeq: 15, headRev: 17 };

describe('the load checker', () => {
  it('finds nothing wrong when every member gets every message once and in order', () => {
    const { checker, ledger, streams } = scene();
    for (const stream of streams) deliver(checker, stream, 1, 2, 3, 4, 5);
    for (const stream of streams) checker.closeStream(stream, HEAD_AFTER_5);
    checker.checkAck(ledger, messageKey(0, 3), 13, 15, HEAD_AFTER_5);
    expect(countsOf(checker)).toEqual({});
    expect(checker.counts.deliveries).toBe(10);
    expect(streams.every((stream) => checker.hasReached(stream, HEAD_AFTER_5))).toBe(true);
  });

  it('tells a message that one socket never got as lost', () => {
    const { checker, streams } = scene();
    deliver(checker, streams[0], 1, 2, 3, 4, 5);
    deliver(checker, streams[1], 1, 2, 4, 5);
    expect(checker.hasReached(streams[1], HEAD_AFTER_5)).toBe(false);
    for (const stream of streams) checker.closeStream(stream, HEAD_AFTER_5);
    expect(countsOf(checker)).toEqual({ lost: 1 });
    expect(checker.faults.summaries()[0]?.examples[0]).toContain('seq_no 13');
  });

  it('tells messages missing at the end as lost, by the room head of the server', () => {
    const { checker, streams } = scene();
    deliver(checker, streams[0], 1, 2, 3);
    checker.closeStream(streams[0], HEAD_AFTER_5);
    expect(countsOf(checker)).toEqual({ lost: 2 });
  });

  it('tells a message delivered twice as repeated', () => {
    const { checker, streams } = scene();
    deliver(checker, streams[0], 1, 2, 2, 3, 4, 5);
    checker.closeStream(streams[0], HEAD_AFTER_5);
    expect(countsOf(checker)).toEqual({ repeated: 1 });
  });

  it('tells a message from before the join as repeated', () => {
    const { checker, streams } = scene();
    deliver(checker, streams[0], 0);
    expect(countsOf(checker)).toEqual({ repeated: 1 });
  });

  it('tells two messages that changed places as misordered, not as lost', () => {
    const { checker, streams } = scene();
    deliver(checker, streams[0], 1, 3, 2, 4, 5);
    checker.closeStream(streams[0], HEAD_AFTER_5);
    expect(countsOf(checker)).toEqual({ misordered: 1 });
  });

  it('tells an acknowledged message that nobody got', () => {
    const { checker, ledger, streams } = scene();
    for (const stream of streams) deliver(checker, stream, 1, 2, 3, 4);
    checker.checkAck(ledger, messageKey(0, 5), 15, 17, HEAD_AFTER_5);
    for (const stream of streams) checker.closeStream(stream, HEAD_AFTER_5);
    expect(countsOf(checker)).toEqual({ lost: 2, acked_not_delivered: 1 });
  });

  it('tells an acknowledged message that the room does not hold', () => {
    const { checker, ledger } = scene();
    checker.checkAck(ledger, messageKey(0, 1), 16, 18, HEAD_AFTER_5);
    expect(countsOf(checker)).toEqual({ acked_not_in_room: 1 });
  });

  it('tells an acknowledgement whose numbers belong to another message', () => {
    const { checker, ledger, streams } = scene();
    deliver(checker, streams[0], 1, 2);
    checker.checkAck(ledger, messageKey(0, 1), 12, 14, HEAD_AFTER_5);
    checker.checkAck(ledger, messageKey(0, 2), 12, 13, HEAD_AFTER_5);
    expect(countsOf(checker)).toEqual({ ack_contradicted: 2 });
  });

  it('tells two sockets that saw different messages under one number', () => {
    const { checker, streams } = scene();
    deliver(checker, streams[0], 1);
    checker.delivered(streams[1], 11, 13, messageKey(0, 99));
    expect(countsOf(checker)).toEqual({ contradicted: 1 });
  });

  it('tells a missing change of the room even when every message came', () => {
    const { checker, streams } = scene();
    checker.delivered(streams[0], 11, 13, messageKey(0, 1));
    checker.delivered(streams[0], 12, 15, messageKey(0, 2));
    checker.closeStream(streams[0], { headSeq: 12, headRev: 15 });
    expect(countsOf(checker)).toEqual({ lost_revs: 1 });
  });

  it('takes changes that are no messages as the next rev', () => {
    const { checker, streams } = scene();
    checker.delivered(streams[0], 11, 13, messageKey(0, 1));
    checker.changed(streams[0], 14);
    checker.delivered(streams[0], 12, 15, messageKey(0, 2));
    checker.closeStream(streams[0], { headSeq: 12, headRev: 15 });
    expect(countsOf(checker)).toEqual({});
  });

  it('takes a gap healed by resync and sync as whole, and what then comes twice as no fault', () => {
    const { checker, streams } = scene();
    deliver(checker, streams[0], 1, 4);
    streams[0].healing += 1;
    expect(checker.contiguousRev(streams[0])).toBe(13);
    for (const place of [2, 3, 4, 5])
      checker.synced(streams[0], 10 + place, 12 + place, messageKey(0, place));
    checker.syncCovered(streams[0], 17);
    deliver(checker, streams[0], 5);
    streams[0].healing -= 1;
    checker.closeStream(streams[0], HEAD_AFTER_5);
    expect(countsOf(checker)).toEqual({});
    expect(checker.counts).toMatchObject({ healed: 3, overlaps: 1 });
  });

  it('tells a resync that was never healed', () => {
    const { checker, streams } = scene();
    deliver(checker, streams[0], 1, 2, 3, 4, 5);
    streams[0].healing += 1;
    checker.closeStream(streams[0], HEAD_AFTER_5);
    expect(countsOf(checker)).toEqual({ resync_unhealed: 1 });
  });

  it('survives a mad sequence number', () => {
    const { checker, streams } = scene();
    checker.delivered(streams[0], 9e15, 9e15, messageKey(0, 1));
    checker.delivered(streams[0], -1, -1, messageKey(0, 2));
    expect(countsOf(checker)).toMatchObject({ contradicted: 1, repeated: 1 });
  });
});

describe('the send book', () => {
  it('tells a message that was neither acknowledged nor refused, and one acknowledged twice', () => {
    const { checker, ledger, streams } = scene();
    const book = createSendBook(0, 5, checker);
    for (const number of [1, 2, 3]) book.sent(number, 0);
    for (const stream of streams) deliver(checker, stream, 1);
    expect(book.acked(1, 11, 13)).toBe(true);
    expect(book.acked(1, 11, 13)).toBe(false);
    book.refused(2);
    expect(book.outstanding()).toBe(1);
    book.close([ledger], [{ headSeq: 11, headRev: 13 }]);
    expect(countsOf(checker)).toEqual({ ack_repeated: 1, ack_missing: 1 });
  });
});
