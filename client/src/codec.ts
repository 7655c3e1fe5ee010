/** A frame of either direction. */
export interface Frame {
  readonly type: string;
  readonly room_id?: string;
  readonly rev?: number;
  readonly ref?: string | number;
  readonly timestamp?: number;
  readonly payload?: unknown;
}

/** How frames become bytes. Both encodings carry the same members. */
export interface Codec {
  readonly subprotocol: 'parley.json' | 'parley.msgpack';
  encode(frame: Frame): string | Uint8Array<ArrayBuffer>;
  decode(data: unknown): Frame;
}

/** Text frames; the default. */
export const json: Codec = {
  subprotocol: 'parley.json',
  encode: (frame) => JSON.stringify(frame),
  decode: (data) => JSON.parse(String(data)) as Frame,
};

/** What is used of the package msgpackr. */
export interface Msgpackr {
  readonly Packr: new (options: object) => { pack(value: unknown): Uint8Array };
  readonly Unpackr: new (options: object) => { unpack(bytes: Uint8Array): unknown };
}

/** Binary frames, with the package that you import: `msgpack(await import('msgpackr'))`. */
export function msgpack({ Packr, Unpackr }: Msgpackr): Codec {
  const packr = new Packr({ useRecords: false, variableMapSize: true });
  const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'auto' });
  return {
    subprotocol: 'parley.msgpack',
    // By way of JSON, so that both encodings leave out the same: undefined members have no plain MessagePack.
    encode: (frame) => new Uint8Array(packr.pack(JSON.parse(JSON.stringify(frame)))),
    decode: (data) => unpackr.unpack(new Uint8Array(data as ArrayBuffer)) as Frame,
  };
}
