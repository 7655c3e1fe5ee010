/**
 * Centrifugo's JSON protocol over WebSocket: a message holds one or more objects, each on a line. A request has an id, its reply the
 * same one; what has none is a push. A room is a channel, a message a publication, its numbers are the publication's offset.
 *
 *   client {"id":1,"connect":{"token":…}}             ► server {"id":1,"connect":{…}}             `welcome`
 *   client {"id":2+i,"subscribe":{"channel":C,…}}     ► server {"id":2+i,"subscribe":{…,"offset":n}} `joined` room i of the plan
 *   client {"id":ref,"publish":{"channel":C,"data":D}} ► server {"id":ref,"publish":{}}            `message_ack`, without a number
 *                                                       server {"push":{"channel":C,"pub":{"data":D,…,"offset":n}}} `new_message`
 *   server {} ping                                    ► client {}
 */
import { type Dialect, tell } from './dialect.js';
import { uuidTail } from './frame-layout.js';
import { after, afterNext, afterNumber, matchedNumber, quoteAfter } from './frame-match.js';
import { fillAck, fillDelivery, parsed, UUID_LENGTH } from './frame-peers.js';
import {
  asMembers,
  asNumber,
  asString,
  type FrameReader,
  type Members,
  numberOfRef,
  type ParsedFrame,
} from './frame-read.js';
import { bytesOf, type ScannedFrame, UNNUMBERED } from './frame-scan.js';

const CONNECT_ID = 1;
/** The subscription to room i of the plan has the id SUBSCRIBE_ID + i; ids below REF_BASE are the set-up's. */
const SUBSCRIBE_ID = 2;

const NEW_LINE = 0x0a;
/** Two braces. */
const PING_LENGTH = 2;

const ID = bytesOf('{"id":');
const PUBLISHED = bytesOf(',"publish":{');
const PUSH = bytesOf('{"push":{"channel":"');
const PUBLICATION = bytesOf('","pub":{"data":{"id":"');
const CONTENT = bytesOf('","content":"');
const DATA_END = bytesOf('"}');
const OFFSET = bytesOf(',"offset":');

function scanReply(bytes: Uint8Array, at: number, end: number, out: ScannedFrame): boolean {
  const idEnd = afterNumber(bytes, at, end);
  const number = numberOfRef(matchedNumber);
  if (after(PUBLISHED, bytes, idEnd) < 0 || number === undefined) return false;
  fillAck(out, number, UNNUMBERED);
  return true;
}

function scan(bytes: Uint8Array, start: number, end: number, out: ScannedFrame): boolean {
  const channel = after(PUSH, bytes, start);
  if (channel < 0) {
    const id = after(ID, bytes, start);
    return id > 0 && scanReply(bytes, id, end, out);
  }
  const id = after(PUBLICATION, bytes, channel + UUID_LENGTH);
  const content = id < 0 ? id : after(CONTENT, bytes, id + UUID_LENGTH);
  // Who sent it may stand between data and offset; it holds nothing that a client wrote.
  const dataEnd = after(DATA_END, bytes, quoteAfter(bytes, content, end));
  if (afterNumber(bytes, afterNext(OFFSET, bytes, dataEnd, end), end) < 0) return false;
  return fillDelivery(out, uuidTail(bytes, channel), matchedNumber, bytes, id, content, end);
}

function parsePush(push: Members): ParsedFrame {
  const roomId = asString(push.channel);
  if (push.pub !== undefined) {
    const publication = asMembers(push.pub);
    const offset = asNumber(publication.offset);
    const message = { ...asMembers(publication.data), seq_no: offset };
    return parsed('new_message', { message }, { roomId, rev: offset });
  }
  // The server ends a subscription or a connection when it can't keep its promise of a gapless one.
  if (push.unsubscribe !== undefined || push.disconnect !== undefined) {
    const { code, reason } = asMembers(push.unsubscribe ?? push.disconnect);
    return parsed('error', { code: String(code), reason });
  }
  return parsed(Object.keys(push).find((name) => name !== 'channel') ?? 'push', {}, { roomId });
}

function parseSubscribed(reply: Members, ref: number): ParsedFrame {
  if (reply.positioned !== true || reply.recoverable !== true) {
    return parsed('error', { code: 'not_positioned', reply });
  }
  const head = asNumber(reply.offset) ?? 0;
  return parsed('joined', { head_seq: head, head_rev: head }, { ref });
}

function parse(bytes: Buffer, start: number, end: number): ParsedFrame {
  const reply = asMembers(JSON.parse(bytes.toString('utf8', start, end)));
  if (reply.push !== undefined) return parsePush(asMembers(reply.push));
  const id = asNumber(reply.id);
  if (reply.error !== undefined) {
    const { code, message } = asMembers(reply.error);
    return parsed('error', { code: String(code), message }, { ref: id });
  }
  if (reply.connect !== undefined) return parsed('welcome', asMembers(reply.connect));
  if (reply.subscribe !== undefined && id !== undefined) {
    return parseSubscribed(asMembers(reply.subscribe), id - SUBSCRIBE_ID);
  }
  if (reply.publish !== undefined) return parsed('message_ack', {}, { ref: id });
  throw new Error('a reply to nothing that was asked');
}

const READER: FrameReader = { scan, parse };

export const CENTRIFUGO: Dialect = {
  path: '/connection/websocket',
  subprotocol: () => undefined,
  opening: (token) => [JSON.stringify({ id: CONNECT_ID, connect: { token } })],
  message: ({ roomId, ref, id, content }) =>
    `{"id":${ref},"publish":{"channel":"${roomId}","data":{"id":"${id}","content":"${content}"}}}`,
  control(frame) {
    if (frame.type !== 'join_room') throw new Error(`no ${String(frame.type)} in Centrifugo's protocol`);
    return JSON.stringify({
      id: SUBSCRIBE_ID + (asNumber(frame.ref) ?? 0),
      subscribe: { channel: frame.room_id, positioned: true, recoverable: true },
    });
  },
  unwrap(bytes, start, end) {
    let stop = start;
    while (stop < end && bytes[stop] !== NEW_LINE) stop += 1;
    const next = Math.min(stop + 1, end);
    if (stop === start) return tell('none', start, stop, next);
    if (stop - start === PING_LENGTH) return tell('none', start, stop, next, '{}');
    return tell('frame', start, stop, next);
  },
  reader: () => READER,
};
