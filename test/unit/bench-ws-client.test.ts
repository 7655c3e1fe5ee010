import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { openWebSocket } from '../../bench/load/ws-client.js';
import { acceptKeyFor, createClientProtocol, encodeClientFrame, OPCODE } from '../../bench/load/ws-frames.js';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const UPGRADED = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${acceptKeyFor(KEY)}\r\n\r\n`;

/** A server's frame: unmasked. */
function serverFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.from([0x80 | opcode, length]), payload]);
  if (length < 65_536)
    return Buffer.concat([Buffer.from([0x80 | opcode, 126, length >> 8, length & 0xff]), payload]);
  const header = Buffer.alloc(10);
  header[0] = 0x80 | opcode;
  header[1] = 127;
  header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, payload]);
}

/** Feeds pieces through one reused read buffer, as ws-client.ts does, and lists what comes out. */
function eventsOf(pieces: readonly Buffer[]): string[] {
  const events: string[] = [];
  const shared = Buffer.alloc(Math.max(1, ...pieces.map((piece) => piece.length)));
  const protocol = createClientProtocol(acceptKeyFor(KEY), {
    open: () => events.push('open'),
    message: (bytes, start, end) => events.push(`message ${bytes.toString('latin1', start, end)}`),
    ping: (payload) => events.push(`ping ${payload.toString('latin1')}`),
    close: (code, reason) => events.push(`close ${code} ${reason}`),
    violation: (what) => events.push(`violation ${what}`),
  });
  for (const piece of pieces) {
    shared.fill(0xee);
    piece.copy(shared);
    protocol.push(shared, piece.length);
  }
  return events;
}

const LONG = 'y'.repeat(200);
const STREAM = Buffer.concat([
  Buffer.from(UPGRADED),
  serverFrame(OPCODE.text, Buffer.from('first')),
  serverFrame(OPCODE.ping, Buffer.from('are you there')),
  serverFrame(OPCODE.binary, Buffer.from(LONG)),
  serverFrame(OPCODE.text, Buffer.alloc(0)),
  serverFrame(
    OPCODE.close,
    Buffer.concat([Buffer.from([1_012 >> 8, 1_012 & 0xff]), Buffer.from('restarting')]),
  ),
]);
const EXPECTED = [
  'open',
  'message first',
  'ping are you there',
  `message ${LONG}`,
  'message ',
  'close 1012 restarting',
];

describe("the WebSocket client's protocol", () => {
  it('gives the same events wherever the bytes are split in two', () => {
    for (let at = 0; at <= STREAM.length; at += 1) {
      expect(eventsOf([STREAM.subarray(0, at), STREAM.subarray(at)])).toEqual(EXPECTED);
    }
  });

  it('gives the same events when every byte comes alone', () => {
    expect(eventsOf([...STREAM].map((byte) => Buffer.from([byte])))).toEqual(EXPECTED);
  });

  it('gives the same events for any pieces, also with frames beyond 64 KiB', () => {
    const big = Buffer.alloc(70_000, 'z');
    const stream = Buffer.concat([
      STREAM.subarray(0, -16),
      serverFrame(OPCODE.text, big),
      STREAM.subarray(-16),
    ]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: stream.length }), { maxLength: 20 }), (cuts) => {
        const places = [0, ...cuts.sort((one, other) => one - other), stream.length];
        const pieces = places.slice(1).map((place, index) => stream.subarray(places[index], place));
        const events = eventsOf(pieces);
        expect(events.filter((event) => event === `message ${big.toString()}`)).toHaveLength(1);
        expect(events.filter((event) => !event.includes('zzz'))).toEqual(EXPECTED);
      }),
      { numRuns: 50 },
    );
  });

  it('refuses answers that are no upgrade, and frames that a server must not send', () => {
    expect(eventsOf([Buffer.from('HTTP/1.1 401 Unauthorized\r\n\r\n')])).toEqual([
      'violation upgrade refused: HTTP/1.1 401 Unauthorized',
    ]);
    expect(eventsOf([Buffer.from(UPGRADED.replace(/Accept: \S+/, 'Accept: wrong'))])).toEqual([
      'violation wrong sec-websocket-accept',
    ]);
    const masked = encodeClientFrame(OPCODE.text, 'masked', 1);
    const events = eventsOf([Buffer.from(UPGRADED), masked]);
    expect(events).toHaveLength(2);
    expect(events[1]).toMatch(/^violation/);
  });
});

describe('the WebSocket client', () => {
  const closers: (() => void)[] = [];
  afterEach(() => {
    for (const close of closers.splice(0)) close();
  });

  it('talks with an independent server (ws): masks, long frames, pings, close codes', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    closers.push(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.on('connection', (socket: WebSocket, request) => {
      socket.send(`hello ${request.headers.authorization} ${request.headers['sec-websocket-protocol']}`);
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
      socket.on('pong', (data) => socket.close(4_001, String(data)));
    });

    const received: string[] = [];
    const texts = ['short', 'ünïcode 🙂', 'm'.repeat(300), 'l'.repeat(200_000)];
    const ending = new Promise<string>((resolve) => {
      const client = openWebSocket(
        { host: '127.0.0.1', port, path: '/' },
        'parley.json',
        'token',
        undefined,
        {
          open: () => {
            for (const text of texts) client.send(OPCODE.text, text);
          },
          message: (bytes, start, end) => {
            received.push(bytes.toString('utf8', start, end));
            if (received.length === texts.length + 1) for (const peer of server.clients) peer.ping('pinged');
          },
          closed: (code, reason) => resolve(`${code} ${reason}`),
        },
      );
    });
    expect(await ending).toBe('4001 pinged');
    expect(received).toEqual(['hello Bearer token parley.json', ...texts]);
  });

  it('reports a connection that ends without a close frame', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.destroy()));
    closers.push(() => server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const code = await new Promise<number | undefined>((resolve) => {
      openWebSocket({ host: '127.0.0.1', port, path: '/' }, 'parley.json', 'token', undefined, {
        open: () => undefined,
        message: () => undefined,
        closed: resolve,
      });
    });
    expect(code).toBeUndefined();
  });
});
