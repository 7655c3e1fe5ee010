import type { Kind } from './handlers.js';

/**
 * The frames between the processes of a machine and their hub: length (32 bits, of what follows it), type and
 * partition (8 bits each), bytes.
 *
 *   client → hub: `hello` (bytes: the node's id), `subscribe-event`, `subscribe-signal` (answered by `subscribed`)
 *   both ways: `event`, `signal`
 *   client → hub: `take`, answered by `taken` (hub-limits.ts), on a connection of its own
 */
const TYPES = [
  'event',
  'signal',
  'hello',
  'subscribe-event',
  'subscribe-signal',
  'subscribed',
  'take',
  'taken',
] as const;
export type HubFrameType = (typeof TYPES)[number];

export interface HubFrame {
  readonly type: HubFrameType;
  readonly partition: number;
  readonly bytes: Uint8Array;
}

const HEAD_BYTES = 6;
const NO_BYTES = new Uint8Array(0);

export function hubFrame(type: HubFrameType, partition: number, bytes: Uint8Array = NO_BYTES): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + bytes.length);
  frame.writeUInt32LE(bytes.length + 2, 0);
  frame.writeUInt8(TYPES.indexOf(type), 4);
  frame.writeUInt8(partition, 5);
  frame.set(bytes, HEAD_BYTES);
  return frame;
}

export function subscribeType(kind: Kind): HubFrameType {
  return kind === 'event' ? 'subscribe-event' : 'subscribe-signal';
}

/** Cuts a stream of chunks into frames; their bytes are views into the chunks. */
export function hubFrameReader(take: (frame: HubFrame) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (data.length >= HEAD_BYTES) {
      const end = 4 + data.readUInt32LE(0);
      if (data.length < end) break;
      const type = TYPES[data.readUInt8(4)];
      if (type !== undefined)
        take({ type, partition: data.readUInt8(5), bytes: data.subarray(HEAD_BYTES, end) });
      data = data.subarray(end);
    }
    rest = data;
  };
}
