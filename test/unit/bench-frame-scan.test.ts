import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { contentPrefix, messageIdWriter } from '../../bench/load/frame-layout.js';
import { type Encoding, parseFrame, scannerFor, scanOfParsed } from '../../bench/load/frame-read.js';
import { emptyScan } from '../../bench/load/frame-scan.js';

const packr = new Packr({ useRecords: false });

type Members = Record<string, unknown>;

/** The same members in another order, at every depth. */
function shuffled(value: unknown): fc.Arbitrary<unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fc.constant(value);
  const names = Object.keys(value);
  return fc
    .tuple(
      fc.shuffledSubarray(names, { minLength: names.length }),
      fc.tuple(...names.map((name) => shuffled((value as Members)[name]))),
    )
    .map(([order, members]) => {
      const byName = new Map(names.map((name, index) => [name, members[index]]));
      return Object.fromEntries(order.map((name) => [name, byName.get(name)]));
    });
}

/** Text that tries to look like the frame around it. */
const trickyText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 200 }),
  fc.constantFrom(
    '"seq_no":9',
    '\\"seq_no\\":9,"rev":1',
    '","seq_no":7,"content":"t=0000000000000001;',
    '}}{"type":"new_message"',
    '\\',
    '\\\\"',
    'line\nbreak\ttab\u0000nul',
    '🙂'.repeat(80),
    'x'.repeat(70_000),
  ),
);

const counter = fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.integer({ min: 0, max: 0xffff_ffff }));
const uuid = fc.uuid();
const ownId = fc
  .tuple(fc.integer({ min: 0, max: 4_095 }), fc.integer({ min: 0, max: 2 ** 40 - 1 }))
  .map(([worker, number]) => messageIdWriter(worker, 7)(number, 1_732_406_400_000));
const content = fc.oneof(
  fc
    .tuple(fc.integer({ min: 0, max: 9e15 }), trickyText)
    .map(([micros, text]) => contentPrefix(micros) + text),
  trickyText,
);

/** Metadata may hold members with the very names that the scanner looks for. */
const metadata = fc.dictionary(
  fc.constantFrom('seq_no', 'rev', 'id', 'content', 'message', 'payload', '"seq_no', 'room_id', 'a\\'),
  fc.oneof(
    counter,
    trickyText,
    fc.constant(null),
    fc.constant({ seq_no: 4, message: { id: 'x' } }),
    fc.double(),
  ),
);

const message = fc.record({
  id: fc.oneof(ownId, uuid),
  room_id: uuid,
  user_id: uuid,
  username: fc.stringMatching(/^[A-Za-z0-9_-]{3,50}$/),
  seq_no: counter,
  rev: counter,
  type: fc.constant('text'),
  content,
  metadata,
  mentions: fc.array(uuid, { maxLength: 3 }),
  reply_to: fc.option(uuid),
  thread_root: fc.constant(null),
  thread_count: fc.nat(9),
  edited: fc.boolean(),
  edited_at: fc.constant(null),
  pinned: fc.boolean(),
  reactions: fc.array(
    fc.record({ emoji: fc.constant('👍'), count: fc.nat(), user_ids: fc.array(uuid, { maxLength: 2 }) }),
  ),
  attachments: fc.constant([]),
  created_at: fc.constant('2024-11-24T00:00:00.000Z'),
  updated_at: fc.constant('2024-11-24T00:00:00.000Z'),
  deleted_at: fc.constant(null),
});

const newMessage = fc
  .record({
    type: fc.constant('new_message'),
    room_id: uuid,
    rev: counter,
    payload: fc.record({ message }),
    timestamp: fc.constant(1_732_406_400_000),
  })
  .chain(shuffled);

const messageAck = fc
  .record({
    type: fc.constant('message_ack'),
    room_id: uuid,
    ref: fc.oneof(fc.integer({ min: 1_000_000_000, max: 4e9 }), fc.string({ maxLength: 64 })),
    payload: fc.record({
      id: ownId,
      seq_no: counter,
      rev: counter,
      created_at: fc.constant('2024-11-24T00:00:00.000Z'),
      duplicate: fc.boolean(),
    }),
  })
  .chain(shuffled);

const anyFrame = fc
  .record({
    type: fc.constantFrom('user_online', 'resync', 'error', 'message_updated', 'new_messages', 'new'),
    room_id: uuid,
    rev: counter,
    payload: fc.oneof(fc.record({ message }), metadata),
  })
  .chain(shuffled);

function encode(encoding: Encoding, frame: unknown): Buffer {
  return encoding === 'json' ? Buffer.from(JSON.stringify(frame)) : Buffer.from(packr.pack(frame));
}

/** The frame in the midst of other bytes, as it lies in the read buffer. */
function placed(frame: Buffer): { bytes: Buffer; start: number; end: number } {
  const before = Buffer.from('{"seq_no":1,"');
  const after = Buffer.from(',"rev":5,"seq_no":6}}');
  return {
    bytes: Buffer.concat([before, frame, after]),
    start: before.length,
    end: before.length + frame.length,
  };
}

for (const encoding of ['json', 'msgpack'] as const) {
  const scan = scannerFor(encoding);

  describe(`the ${encoding} frame scanner`, () => {
    it('says the same as the full parse, or gives up', () => {
      fc.assert(
        fc.property(fc.oneof(newMessage, messageAck, anyFrame), (frame) => {
          const { bytes, start, end } = placed(encode(encoding, frame));
          const scanned = emptyScan();
          if (!scan(bytes, start, end, scanned)) return;
          const parsed = emptyScan();
          expect(scanOfParsed(parseFrame(encoding, bytes, start, end), parsed)).toBe(true);
          expect(scanned).toEqual(parsed);
        }),
        { numRuns: 2_000 },
      );
    });

    it("never gives up on the bench's own messages, whatever the order of members", () => {
      const own = message.map((fields) => ({
        ...fields,
        id: messageIdWriter(3, 1)(77, 1),
        content: `${contentPrefix(123_456)}"seq_no":9`,
      }));
      const frame = fc
        .record({
          type: fc.constant('new_message'),
          room_id: uuid,
          rev: counter,
          payload: fc.record({ message: own }),
        })
        .chain(shuffled);
      fc.assert(
        fc.property(frame, (value) => {
          const { bytes, start, end } = placed(encode(encoding, value));
          const scanned = emptyScan();
          expect(scan(bytes, start, end, scanned)).toBe(true);
          expect(scanned).toMatchObject({
            kind: 'new_message',
            idWorker: 3,
            idTail: 77,
            sentAtMicros: 123_456,
          });
        }),
        { numRuns: 500 },
      );
    });

    it('never gives up on an acknowledgement', () => {
      fc.assert(
        fc.property(messageAck, (frame) => {
          const { bytes, start, end } = placed(encode(encoding, frame));
          expect(scan(bytes, start, end, emptyScan())).toBe(true);
        }),
      );
    });

    it('leaves other frames to the full parse', () => {
      fc.assert(
        fc.property(anyFrame, (frame) => {
          const { bytes, start, end } = placed(encode(encoding, frame));
          expect(scan(bytes, start, end, emptyScan())).toBe(false);
        }),
      );
    });

    it('never reads past the end of a frame that is cut off or garbled', () => {
      fc.assert(
        fc.property(newMessage, fc.nat(), fc.nat(255), (frame, place, byte) => {
          const whole = encode(encoding, frame);
          const cut = whole.subarray(0, place % whole.length);
          const garbled = Buffer.from(whole);
          garbled[place % whole.length] = byte;
          for (const bytes of [cut, garbled]) scan(bytes, 0, bytes.length, emptyScan());
        }),
      );
    });
  });
}
