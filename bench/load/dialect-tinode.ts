/**
 * Tinode's JSON protocol over WebSocket. A request has an id, its `ctrl` the same one. A room is a group topic, whose name holds 64
 * bits in base64; the loader knows it by a UUID with the same bits. A message's numbers are its `seq`.
 *
 *   client {"hi":{"id":"1",…}}                       ► server {"ctrl":{"id":"1","code":201,…}}
 *   client {"login":{"id":"2","scheme":"token",…}}   ► server {"ctrl":{"id":"2","code":200,…}}           `welcome`
 *   client {"sub":{"id":"3+i","topic":T,"get":…}}    ► server {"ctrl":…} and {"meta":{"id":"3+i","desc":{"seq":n}}} `joined` room i
 *   client {"pub":{"id":"ref","topic":T,…}}          ► server {"ctrl":{"id":"ref","code":202,"params":{"seq":n}}}  `message_ack`
 *                                                     server {"data":{"topic":T,"seq":n,"head":…,"content":…}}     `new_message`
 *
 * The content is the text of the message; its id travels in `head`.
 */
import { type Dialect, tell } from './dialect.js';
import { after, afterNumber, matchedNumber, quoteAfter } from './frame-match.js';
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
import { bytesOf, GIVE_UP, type ScannedFrame } from './frame-scan.js';

/** The protocol's version that is spoken. */
export const TINODE_PROTOCOL = '0.25';

const HI_ID = 1;
const LOGIN_ID = 2;
/** The subscription to room i of the plan has the id SUBSCRIBE_ID + i; ids below REF_BASE are the set-up's. */
const SUBSCRIBE_ID = 3;

const CODE_ACCEPTED = 202;
export const FIRST_ERROR_CODE = 300;

const GROUP = 'grp';
/** 64 bits in base64 without padding. */
const NAME_LENGTH = 11;
const UUID_HEAD = '00000000-0000-0000-';

const DATA = bytesOf('{"data":{"topic":"grp');
const FROM = bytesOf('","from":"');
const TS = bytesOf('","ts":"');
const SEQ = bytesOf('","seq":');
const HEAD = bytesOf(',"head":{"id":"');
const CONTENT = bytesOf('"},"content":"');
const CTRL = bytesOf('{"ctrl":{"id":"');
const TOPIC = bytesOf('","topic":"grp');
const ACCEPTED = bytesOf('","params":{"seq":');
const ACCEPTED_CODE = bytesOf('},"code":202,');

/** Value of a base64url digit's byte, or 255. */
const DIGITS = new Uint8Array(256).fill(255);
for (const [value, digit] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
].entries()) {
  DIGITS[digit.charCodeAt(0)] = value;
}

/** The UUID that stands for a group topic. @throws when the name isn't one of 64 bits. */
export function roomIdOfTopic(topic: string): string {
  const bits = Buffer.from(topic.slice(GROUP.length), 'base64url');
  if (!topic.startsWith(GROUP) || bits.length !== 8 || `${GROUP}${bits.toString('base64url')}` !== topic) {
    throw new Error(`not the name of a group topic: ${topic}`);
  }
  const hex = bits.toString('hex');
  return `${UUID_HEAD}${hex.slice(0, 4)}-${hex.slice(4)}`;
}

/** The inverse of roomIdOfTopic. */
export function topicOfRoomId(roomId: string): string {
  const hex = roomId.slice(UUID_HEAD.length).replace('-', '');
  return GROUP + Buffer.from(hex, 'hex').toString('base64url');
}

/** The last 48 of the 64 bits in the name at `at`, or -1. */
function topicTail(bytes: Uint8Array, at: number): number {
  const digit = (index: number) => DIGITS[bytes[at + index] as number] as number;
  let value = digit(2) & 0b11;
  for (let index = 3; index < NAME_LENGTH - 1; index += 1) {
    if (digit(index) > 63) return -1;
    value = value * 64 + digit(index);
  }
  return digit(NAME_LENGTH - 1) > 63 ? -1 : value * 16 + (digit(NAME_LENGTH - 1) >> 2);
}

function scanAccepted(bytes: Uint8Array, at: number, end: number, out: ScannedFrame): boolean {
  const idEnd = afterNumber(bytes, at, end);
  const number = numberOfRef(matchedNumber);
  const topic = after(TOPIC, bytes, idEnd);
  const seq = after(ACCEPTED, bytes, topic < 0 ? GIVE_UP : topic + NAME_LENGTH);
  const seqEnd = afterNumber(bytes, seq, end);
  if (number === undefined || after(ACCEPTED_CODE, bytes, seqEnd) < 0) return false;
  fillAck(out, number, matchedNumber);
  return true;
}

function scan(bytes: Uint8Array, start: number, end: number, out: ScannedFrame): boolean {
  const topic = after(DATA, bytes, start);
  if (topic < 0) {
    const id = after(CTRL, bytes, start);
    return id > 0 && scanAccepted(bytes, id, end, out);
  }
  const from = after(FROM, bytes, topic + NAME_LENGTH);
  const ts = after(TS, bytes, quoteAfter(bytes, from, end));
  const seq = after(SEQ, bytes, quoteAfter(bytes, ts, end));
  const id = after(HEAD, bytes, afterNumber(bytes, seq, end));
  const content = id < 0 ? id : after(CONTENT, bytes, id + UUID_LENGTH);
  if (content < 0) return false;
  return fillDelivery(out, topicTail(bytes, topic), matchedNumber, bytes, id, content, end);
}

function parseCtrl(ctrl: Members): ParsedFrame {
  const ref = Number(ctrl.id ?? Number.NaN);
  const code = asNumber(ctrl.code) ?? 0;
  const seq = asNumber(asMembers(ctrl.params).seq);
  if (code === CODE_ACCEPTED && numberOfRef(ref) !== undefined) {
    return parsed('message_ack', { seq_no: seq, rev: seq }, { ref });
  }
  if (code >= FIRST_ERROR_CODE) {
    return parsed(
      'error',
      { code: String(code), message: ctrl.text },
      { ref: Number.isNaN(ref) ? undefined : ref },
    );
  }
  return parsed(ref === LOGIN_ID ? 'welcome' : 'ctrl', {});
}

function parseMeta(meta: Members): ParsedFrame {
  const head = asNumber(asMembers(meta.desc).seq) ?? 0;
  const ref = Number(meta.id) - SUBSCRIBE_ID;
  return meta.desc === undefined
    ? parsed('meta', {})
    : parsed('joined', { head_seq: head, head_rev: head }, { ref });
}

function parseData(data: Members): ParsedFrame {
  const seq = asNumber(data.seq);
  const message = { id: asMembers(data.head).id, seq_no: seq, content: data.content };
  return parsed('new_message', { message }, { roomId: roomIdOfTopic(asString(data.topic) ?? ''), rev: seq });
}

function parse(bytes: Buffer, start: number, end: number): ParsedFrame {
  const frame = asMembers(JSON.parse(bytes.toString('utf8', start, end)));
  if (frame.data !== undefined) return parseData(asMembers(frame.data));
  if (frame.ctrl !== undefined) return parseCtrl(asMembers(frame.ctrl));
  if (frame.meta !== undefined) return parseMeta(asMembers(frame.meta));
  const [type] = Object.keys(frame);
  if (type === undefined) throw new Error('a frame without members');
  return parsed(type, {});
}

const READER: FrameReader = { scan, parse };

export const TINODE: Dialect = {
  path: '/v0/channels',
  subprotocol: () => undefined,
  opening: (token) => [
    JSON.stringify({ hi: { id: String(HI_ID), ver: TINODE_PROTOCOL, ua: 'bench' } }),
    JSON.stringify({ login: { id: String(LOGIN_ID), scheme: 'token', secret: token } }),
  ],
  message: ({ roomId, ref, id, content }) =>
    `{"pub":{"id":"${ref}","topic":"${topicOfRoomId(roomId)}","head":{"id":"${id}"},"content":"${content}"}}`,
  control(frame) {
    if (frame.type !== 'join_room') throw new Error(`no ${String(frame.type)} in Tinode's protocol`);
    const id = String(SUBSCRIBE_ID + (asNumber(frame.ref) ?? 0));
    const topic = topicOfRoomId(asString(frame.room_id) ?? '');
    return JSON.stringify({ sub: { id, topic, get: { what: 'desc' } } });
  },
  unwrap: (_bytes, start, end) => tell('frame', start, end, end),
  reader: () => READER,
};
