import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createChecker } from '../../bench/load/checker.js';
import { roomIdOfTopic, topicOfRoomId } from '../../bench/load/dialect-tinode.js';
import { dialectOf } from '../../bench/load/dialects.js';
import { createFaults } from '../../bench/load/faults.js';
import { messageKey } from '../../bench/load/frame-layout.js';
import { idTailOf, type ParsedFrame, scanOfParsed } from '../../bench/load/frame-read.js';
import { createFrameReceiver } from '../../bench/load/frame-receive.js';
import { emptyScan, type ScannedFrame, SENDER_ITSELF, UNNUMBERED } from '../../bench/load/frame-scan.js';
import { parseOptions, UsageError } from '../../bench/load/options.js';
import { createSendBook } from '../../bench/load/send-book.js';

type DialectName = Parameters<typeof dialectOf>[0];

/** What a session gets out of messages of the server's, and what it sends back by itself. */
function hear(name: DialectName, ...messages: readonly string[]) {
  const dialect = dialectOf(name);
  const traffic: ScannedFrame[] = [];
  const other: ParsedFrame[] = [];
  const replies: string[] = [];
  const unhandled: string[] = [];
  const counts = { scanned: 0, parsed: 0 };
  const accept = createFrameReceiver(dialect.reader('json'), counts, createFaults(), {
    traffic: (frame) => traffic.push({ ...frame }),
    other: (frame) => other.push(frame),
    unhandled: (what) => unhandled.push(what),
  });
  for (const message of messages) {
    const bytes = Buffer.from(`junk${message}junk`);
    const end = bytes.length - 4;
    for (let at = 4; at < end; ) {
      const piece = dialect.unwrap(bytes, at, end, 'secret');
      at = piece.next;
      if (piece.reply !== undefined) replies.push(piece.reply);
      if (piece.kind === 'frame') accept(bytes, piece.start, piece.end);
    }
  }
  return { traffic, other, replies, unhandled, counts };
}

/** The full parse must say the same as the scan. */
function expectSameParsed(name: DialectName, line: string, scanned: ScannedFrame | undefined): void {
  const bytes = Buffer.from(line);
  const whole = emptyScan();
  const reader = dialectOf(name).reader('json');
  expect(scanOfParsed(reader.parse(bytes, 0, bytes.length), whole)).toBe(true);
  expect(scanned).toEqual(whole);
}

// As Centrifugo 6.9.1 sent them.
const CHANNEL = '7f9e40a3-a566-497c-86a1-487b35060676';
const INFO = '"info":{"user":"captureone","client":"dca33f3e-008d-4ebf-9db2-683e4ecf17cd"}';
const publication = (number: number, offset: number, rest = '') =>
  `{"push":{"channel":"${CHANNEL}","pub":{"data":{"id":"0193767f-1c00-7003-8001-00000000000${number}","content":"t=0000000001000000;abc"},${INFO},"offset":${offset}${rest}}}}`;
const FIRST = publication(5, 1, ',"epoch":"FRMnCAut"');
const PUBLISHED = '{"id":1000000005,"publish":{}}';

describe('the dialect of Centrifugo', () => {
  const dialect = dialectOf('centrifugo');

  it('reads every line of a message, deliveries and acknowledgements without parsing', () => {
    const { traffic, other, counts, unhandled } = hear(
      'centrifugo',
      `${FIRST}\n${PUBLISHED}`,
      `{"id":1000000006,"publish":{}}\n${publication(7, 3)}\n${publication(8, 4)}\n`,
    );
    const delivery = {
      kind: 'new_message',
      roomTail: idTailOf(CHANNEL),
      idWorker: 3,
      sentAtMicros: 1_000_000,
    };
    const ack = { kind: 'message_ack', seqNo: UNNUMBERED, idWorker: SENDER_ITSELF };
    expect(traffic).toMatchObject([
      { ...delivery, seqNo: 1, rev: 1, idTail: 5 },
      { ...ack, idTail: 5 },
      { ...ack, idTail: 6 },
      { ...delivery, seqNo: 3, rev: 3, idTail: 7 },
      { ...delivery, seqNo: 4, rev: 4, idTail: 8 },
    ]);
    expect({ other, unhandled, counts }).toEqual({
      other: [],
      unhandled: [],
      counts: { scanned: 5, parsed: 0 },
    });
    expectSameParsed('centrifugo', FIRST, traffic[0]);
    expectSameParsed('centrifugo', PUBLISHED, traffic[1]);
  });

  it('parses a publication that is written in another way, and says the same', () => {
    const push = JSON.stringify({
      push: { pub: { offset: 9, ...JSON.parse(publication(5, 9)).push.pub }, channel: CHANNEL },
    });
    const { traffic, counts } = hear('centrifugo', push, publication(5, 9));
    expect(counts).toEqual({ scanned: 1, parsed: 1 });
    expect(traffic[0]).toEqual(traffic[1]);
  });

  it('connects by token, and joins at the offset that the subscription tells', () => {
    expect(dialect.opening('secret')).toEqual(['{"id":1,"connect":{"token":"secret"}}']);
    const join = dialect.control({ type: 'join_room', room_id: CHANNEL, ref: 7 });
    expect(JSON.parse(join)).toEqual({
      id: 9,
      subscribe: { channel: CHANNEL, positioned: true, recoverable: true },
    });
    const { other } = hear(
      'centrifugo',
      '{"id":1,"connect":{"client":"dca33f3e-008d-4ebf-9db2-683e4ecf17cd","version":"0.0.0 OSS","expires":true,"ttl":86400,"ping":25,"pong":true}}',
      '{"id":9,"subscribe":{"recoverable":true,"epoch":"FRMnCAut","positioned":true}}',
      '{"id":9,"subscribe":{"recoverable":true,"epoch":"FRMnCAut","positioned":true,"offset":12}}',
    );
    expect(other).toMatchObject([
      { type: 'welcome' },
      { type: 'joined', ref: 7, payload: { head_seq: 0, head_rev: 0 } },
      { type: 'joined', ref: 7, payload: { head_seq: 12, head_rev: 12 } },
    ]);
  });

  it('answers a ping, and tells errors of a request, of a subscription that ended or has no position', () => {
    const { other, replies } = hear(
      'centrifugo',
      '{}',
      '{"id":3,"error":{"code":107,"message":"bad request"}}',
      '{"id":1000000004,"error":{"code":103,"message":"permission denied"}}',
      `{"push":{"channel":"${CHANNEL}","unsubscribe":{"code":2500,"reason":"insufficient state"}}}`,
      '{"id":2,"subscribe":{}}',
    );
    expect(replies).toEqual(['{}']);
    expect(other).toMatchObject([
      { type: 'error', ref: 3, payload: { code: '107' } },
      { type: 'error', ref: 1_000_000_004, payload: { code: '103' } },
      { type: 'error', ref: undefined, payload: { code: '2500' } },
      { type: 'error', payload: { code: 'not_positioned' } },
    ]);
  });

  it('publishes under an id that names the message', () => {
    const text = dialect.message({
      roomId: CHANNEL,
      number: 5,
      ref: 1_000_000_005,
      id: 'i',
      content: 'c',
    });
    expect(JSON.parse(text)).toEqual({
      id: 1_000_000_005,
      publish: { channel: CHANNEL, data: { id: 'i', content: 'c' } },
    });
  });
});

// As Tinode 0.25.3 sent them.
const TOPIC = 'grpeESv-OlVOYw';
const ACCEPTED = `{"ctrl":{"id":"1000000005","topic":"${TOPIC}","params":{"seq":1},"code":202,"text":"accepted","ts":"2026-11-29T11:04:06.283Z"}}`;
const DATA = `{"data":{"topic":"${TOPIC}","from":"usrvxS47WfvhY0","ts":"2026-11-29T11:04:06.283Z","seq":1,"head":{"id":"0193767f-1c00-7003-8001-000000000005"},"content":"t=0000000001000000;abc"}}`;
const DESC =
  '"created":"2026-11-29T11:04:05.067Z","online":true,"defacs":{"auth":"JRWPS","anon":"N"},"subcnt":3,"public":{"fn":"r"}';

describe('the dialect of Tinode', () => {
  const dialect = dialectOf('tinode');
  const room = roomIdOfTopic(TOPIC);

  it('knows a topic by a UUID with the same 64 bits, and refuses other names', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), (bits) => {
        const topic = `grp${Buffer.from(bits).toString('base64url')}`;
        expect(roomIdOfTopic(topic)).toMatch(/^0{8}-0{4}-0{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
        expect(topicOfRoomId(roomIdOfTopic(topic))).toBe(topic);
        const { traffic, counts } = hear('tinode', DATA.replace(TOPIC, topic));
        expect(counts.scanned).toBe(1);
        expect(traffic[0]?.roomTail).toBe(idTailOf(roomIdOfTopic(topic)));
      }),
    );
    for (const name of ['me', 'usrvxS47WfvhY0', 'grpshort', `${TOPIC}A`]) {
      expect(() => roomIdOfTopic(name), name).toThrow(name);
    }
  });

  it('reads deliveries and acknowledgements without parsing', () => {
    const { traffic, counts } = hear('tinode', ACCEPTED, DATA);
    expect(counts).toEqual({ scanned: 2, parsed: 0 });
    expect(traffic).toMatchObject([
      { kind: 'message_ack', seqNo: 1, rev: 1, idTail: 5, idWorker: SENDER_ITSELF },
      {
        kind: 'new_message',
        roomTail: idTailOf(room),
        seqNo: 1,
        rev: 1,
        idTail: 5,
        idWorker: 3,
        sentAtMicros: 1_000_000,
      },
    ]);
    expectSameParsed('tinode', ACCEPTED, traffic[0]);
    expectSameParsed('tinode', DATA, traffic[1]);
  });

  it('says hello, logs in by token and joins at the number that the topic tells', () => {
    expect(dialect.opening('secret').map((text) => JSON.parse(text))).toMatchObject([
      { hi: { id: '1' } },
      { login: { id: '2', scheme: 'token', secret: 'secret' } },
    ]);
    const join = dialect.control({ type: 'join_room', room_id: room, ref: 7 });
    expect(JSON.parse(join)).toEqual({ sub: { id: '10', topic: TOPIC, get: { what: 'desc' } } });
    const { other } = hear(
      'tinode',
      '{"ctrl":{"id":"1","params":{"build":"postgres:undef","ver":"0.25"},"code":201,"text":"created","ts":"2026-11-29T11:04:05.167Z"}}',
      '{"ctrl":{"id":"2","params":{"authlvl":"auth","user":"usrvxS47WfvhY0"},"code":200,"text":"ok","ts":"2026-11-29T11:04:05.168Z"}}',
      `{"ctrl":{"id":"10","topic":"${TOPIC}","code":200,"text":"ok","ts":"2026-11-29T11:04:05.781Z"}}`,
      `{"meta":{"id":"10","topic":"${TOPIC}","ts":"2026-11-29T11:04:05.785Z","desc":{${DESC}}}}`,
      `{"meta":{"id":"10","topic":"${TOPIC}","ts":"2026-11-29T11:04:05.785Z","desc":{${DESC},"seq":12}}}`,
      `{"pres":{"topic":"${TOPIC}","src":"usruEvPcf7Vb-E","what":"on"}}`,
    );
    expect(other).toMatchObject([
      { type: 'ctrl' },
      { type: 'welcome' },
      { type: 'ctrl' },
      { type: 'joined', ref: 7, payload: { head_seq: 0, head_rev: 0 } },
      { type: 'joined', ref: 7, payload: { head_seq: 12, head_rev: 12 } },
      { type: 'pres' },
    ]);
  });

  it('tells errors, with the message that they are about', () => {
    const { other } = hear(
      'tinode',
      `{"ctrl":{"id":"4","topic":"${TOPIC}","code":404,"text":"topic not found","ts":"2026-11-29T11:04:06.787Z"}}`,
      `{"ctrl":{"id":"1000000004","topic":"${TOPIC}","code":503,"text":"service unavailable","ts":"2026-11-29T11:04:06.787Z"}}`,
      '{"ctrl":{"code":400,"text":"malformed","ts":"2026-11-29T11:04:06.787Z"}}',
    );
    expect(other).toMatchObject([
      { type: 'error', ref: 4, payload: { code: '404' } },
      { type: 'error', ref: 1_000_000_004, payload: { code: '503' } },
      { type: 'error', ref: undefined, payload: { code: '400' } },
    ]);
  });

  it('publishes under an id that names the message', () => {
    const text = dialect.message({ roomId: room, number: 5, ref: 1_000_000_005, id: 'i', content: 'c' });
    expect(JSON.parse(text)).toEqual({
      pub: { id: '1000000005', topic: TOPIC, head: { id: 'i' }, content: 'c' },
    });
  });
});

describe('what is checked of another server', () => {
  it('finds an offset that never came, one that came twice and one that came late', () => {
    const offsets = [1, 2, 2, 5, 4];
    const { traffic } = hear('centrifugo', offsets.map((offset) => publication(offset, offset)).join('\n'));
    const checker = createChecker();
    const stream = checker.openStream(0, checker.openLedger(CHANNEL, 0), 0, 0);
    for (const { seqNo, rev, idWorker, idTail } of traffic) {
      checker.delivered(stream, seqNo, rev, messageKey(idWorker, idTail));
    }
    checker.closeStream(stream, { headSeq: 6, headRev: 6 });
    expect(checker.faults.summaries().map(({ kind, count }) => [kind, count])).toEqual([
      ['lost', 2],
      ['repeated', 1],
      ['misordered', 1],
    ]);
  });

  it('takes an acknowledgement without a number for one of a message that was delivered, and takes it once', () => {
    const checker = createChecker();
    const ledger = checker.openLedger(CHANNEL, 0);
    const stream = checker.openStream(0, ledger, 0, 0);
    const book = createSendBook(3, 3, checker);
    for (const number of [0, 1, 2]) book.sent(number, 0);
    checker.delivered(stream, 1, 1, messageKey(3, 0));
    expect(book.acked(0, UNNUMBERED, UNNUMBERED)).toBe(true);
    expect(book.acked(1, UNNUMBERED, UNNUMBERED)).toBe(true);
    expect(book.acked(1, UNNUMBERED, UNNUMBERED)).toBe(false);
    book.close([ledger], [{ headSeq: 1, headRev: 1 }]);
    expect(checker.faults.summaries().map(({ kind, count }) => [kind, count])).toEqual([
      ['acked_not_delivered', 1],
      ['ack_repeated', 1],
      ['ack_missing', 1],
    ]);
  });
});

describe('the options of the load bench', () => {
  it('ask nothing of another protocol that the loader can’t say in it', () => {
    expect(parseOptions(['--dialect', 'centrifugo'])?.dialect).toBe('centrifugo');
    for (const argv of [['--encoding', 'mixed'], ['--jitter', '1'], ['--storm'], ['--slow-readers', '1']]) {
      expect(() => parseOptions(['--dialect', 'tinode', ...argv]), argv.join(' ')).toThrow(UsageError);
    }
  });
});
