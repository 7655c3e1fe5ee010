import { isUtf8 } from 'node:buffer';
import { Packr, Unpackr } from 'msgpackr';
import { Refusal } from './errors.js';
import { checkValue, MAX_DEPTH } from './strict-json.js';

/** Plain MessagePack: string keys, no records, no extension types (PROTOCOL §3). */
const packr = new Packr({ useRecords: false, variableMapSize: true });
// 'auto': 64-bit integers become numbers where a number can hold them. The option is missing in the types.
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, ...{ int64AsType: 'auto' as never } });
const PROTO = Buffer.from('__proto__');

/** Encodes a value without `undefined` in it. The returned buffer is a fresh copy. */
export function encodeMsgpack(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** Decodes what this project itself encoded. Never for bytes of a client. */
export function decodeMsgpack(bytes: Uint8Array): unknown {
  return unpackr.unpack(bytes);
}

/**
 * Decodes one MessagePack value as strictly as `parseStrictJson` reads JSON. A walk over the bytes comes
 * first, so that a length, a nesting or a type that lies is refused before anything is allocated for it.
 *
 * @param decoded is handed the value before it is checked
 * @throws Refusal `bad_request`
 */
export function parseStrictMsgpack(bytes: Uint8Array, decoded?: (value: unknown) => void): unknown {
  const walker = new Walker(bytes);
  walker.value(0);
  if (!walker.atEnd()) throw malformed('Bytes follow the value.');
  const value: unknown = unpackr.unpack(bytes);
  decoded?.(value);
  if (walker.hasProto)
    throw new Refusal('bad_request', { field: '__proto__', sentence: 'Unknown member: __proto__' });
  if (checkValue(value, '', 0) !== walker.members) throw malformed('Duplicate member.');
  return value;
}

function malformed(sentence: string): Refusal {
  return new Refusal('bad_request', { sentence: `Not valid MessagePack: ${sentence}` });
}

/** One pass over encoded bytes, counting the members of all maps; holds nothing of what it passes. */
class Walker {
  members = 0;
  /** Whether a key says `__proto__`: msgpackr renames it while decoding. */
  hasProto = false;
  #stringLength = 0;
  readonly #view: DataView;
  #at = 0;

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  atEnd(): boolean {
    return this.#at === this.bytes.length;
  }

  value(depth: number): void {
    if (depth > MAX_DEPTH) throw malformed('nested too deep.');
    const type = this.#uint(1);
    if (type <= 0x7f || type >= 0xe0) return; // fixint
    if (type <= 0x8f) return this.#map(type & 0x0f, depth);
    if (type <= 0x9f) return this.#array(type & 0x0f, depth);
    if (type <= 0xbf) return this.#string(type & 0x1f);
    switch (type) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        return;
      case 0xca: // float 32
      case 0xce: // uint 32
      case 0xd2: // int 32
        return this.#skip(4);
      case 0xcb: // float 64
      case 0xcf: // uint 64
      case 0xd3: // int 64
        return this.#skip(8);
      case 0xcc: // uint 8
      case 0xd0: // int 8
        return this.#skip(1);
      case 0xcd: // uint 16
      case 0xd1: // int 16
        return this.#skip(2);
      case 0xd9:
        return this.#string(this.#uint(1));
      case 0xda:
        return this.#string(this.#uint(2));
      case 0xdb:
        return this.#string(this.#uint(4));
      case 0xdc:
        return this.#array(this.#uint(2), depth);
      case 0xdd:
        return this.#array(this.#uint(4), depth);
      case 0xde:
        return this.#map(this.#uint(2), depth);
      case 0xdf:
        return this.#map(this.#uint(4), depth);
      default:
        throw malformed('binary and extension types are not used here.');
    }
  }

  #array(length: number, depth: number): void {
    this.#expect(length);
    for (let i = 0; i < length; i++) this.value(depth + 1);
  }

  #map(length: number, depth: number): void {
    this.#expect(length * 2);
    this.members += length;
    for (let i = 0; i < length; i++) {
      const type = this.bytes[this.#at] ?? 0;
      const isString = (type >= 0xa0 && type <= 0xbf) || (type >= 0xd9 && type <= 0xdb);
      if (!isString) throw malformed('map keys are strings.');
      this.value(depth + 1);
      const key = this.bytes.subarray(this.#at - this.#stringLength, this.#at);
      if (PROTO.equals(key)) this.hasProto = true;
      this.value(depth + 1);
    }
  }

  #string(length: number): void {
    const start = this.#at;
    this.#skip(length);
    const text = this.bytes.subarray(start, this.#at);
    if (!isUtf8(text)) throw malformed('a string is not UTF-8.');
    this.#stringLength = length;
  }

  #uint(size: 1 | 2 | 4): number {
    const at = this.#at;
    this.#skip(size);
    if (size === 1) return this.#view.getUint8(at);
    return size === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  #skip(length: number): void {
    this.#expect(length);
    this.#at += length;
  }

  /** Refuses a length that the remaining bytes can't hold (each element takes at least one). */
  #expect(length: number): void {
    if (length > this.bytes.length - this.#at) throw malformed('it ends too early.');
  }
}
