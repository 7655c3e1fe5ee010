import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { until } from '../helpers/deadline.js';
import { type Account, freshName, newAccount, newRoom, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';

/**
 * A refusal is seen by clients that look for it only after they have sent all of their body: a connection that is
 * closed on them meanwhile is an EPIPE or ECONNRESET to them, and no answer.
 */

const MiB = 1_024 * 1_024;
const CAP_BYTES = 2 * MiB;
const FORM_BYTES = 65_536; // that a form may hold beside its file
const UPLOADS_PER_MINUTE = 4;
const ROUNDS = 6; // without lingering, most of so many get no answer

let server: Server;
let rest: ReturnType<typeof restClient>;
let owner: Account;
let room: string;

beforeAll(async () => {
  server = await startServerWithDatabase({
    MAX_UPLOAD_BYTES: String(CAP_BYTES),
    MAX_BODY_BYTES: String(CAP_BYTES),
    UPLOADS_PER_MINUTE: String(UPLOADS_PER_MINUTE),
  });
  rest = restClient(server.url);
  owner = await newAccount(rest);
  room = (await newRoom(rest, owner)).id;
});

interface Sent {
  readonly path: string;
  readonly token?: string;
  readonly type: string;
  readonly body: Uint8Array<ArrayBuffer>;
}
type Seen = readonly [status: number, code: string];

function headersOf({ token, type }: Sent): Record<string, string> {
  return { 'content-type': type, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
}

async function byFetch(sent: Sent): Promise<Seen> {
  const response = await fetch(`${server.url}/api/v1${sent.path}`, {
    method: 'POST',
    headers: headersOf(sent),
    body: sent.body,
  });
  return [response.status, ((await response.json()) as { code: string }).code];
}

function byRequest(sent: Sent, framing: 'length' | 'chunked', keepAlive = true): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${server.url}/api/v1${sent.path}`, {
      method: 'POST',
      ...(keepAlive ? {} : { agent: false }), // `connection: close`
      headers: {
        ...headersOf(sent),
        ...(framing === 'length' ? { 'content-length': sent.body.length } : {}),
      },
    });
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve([incoming.statusCode ?? 0, (JSON.parse(text) as { code: string }).code]),
      );
    });
    if (framing === 'chunked') outgoing.write(sent.body.subarray(0, 1));
    outgoing.end(sent.body);
  });
}

const CLIENTS = {
  fetch: byFetch,
  'http.request': (sent: Sent) => byRequest(sent, 'length'),
  'http.request, the body in chunks': (sent: Sent) => byRequest(sent, 'chunked'),
  'http.request, not to be kept alive': (sent: Sent) => byRequest(sent, 'length', false),
};

/** What the client saw each time. */
async function seenBy(client: keyof typeof CLIENTS, sent: Sent): Promise<Seen[]> {
  const seen: Seen[] = [];
  for (let round = 0; round < ROUNDS; round++) seen.push(await CLIENTS[client](sent));
  return seen;
}
const always = (...seen: Seen): Seen[] => Array.from({ length: ROUNDS }, () => seen);

const uploadOf = (
  bytes: number,
  token: string | undefined,
  type = 'multipart/form-data; boundary=b',
): Sent => ({
  path: `/rooms/${room}/attachments`,
  ...(token === undefined ? {} : { token }),
  type,
  body: new Uint8Array(bytes),
});
const messageOf = (bytes: number, token: string | undefined, type = 'application/json'): Sent => ({
  path: `/rooms/${room}/messages`,
  ...(token === undefined ? {} : { token }),
  type,
  body: new Uint8Array(bytes),
});

/** How many times too large. uWebSockets closes at once on who asks for it: then what is read on of a body is all there is. */
const timesOf = (client: string): number[] => (client.includes('not to be kept') ? [1.1, 4] : [1.1, 4, 20]);

for (const client of Object.keys(CLIENTS) as (keyof typeof CLIENTS)[]) {
  describe(`${client} sees`, { timeout: 60_000 }, () => {
    test.each(timesOf(client))('413 on an upload of %d times the largest size', async (times) => {
      const uploader = await newAccount(rest);
      await rest.join(uploader.token, room);
      const sent = uploadOf(Math.ceil(CAP_BYTES * times) + FORM_BYTES, uploader.token);
      const seen: Seen[] = [];
      for (let round = 0; round < UPLOADS_PER_MINUTE; round++) seen.push(await CLIENTS[client](sent));
      // The form is broken, which may be found first where the length isn't said.
      const isCut = client.includes('chunks') ? [413, 400] : [413];
      expect(seen.filter(([status]) => !isCut.includes(status))).toEqual([]);
    });

    test.each(timesOf(client))('413 on JSON of %d times the largest size', async (times) => {
      const sent = messageOf(Math.ceil(CAP_BYTES * times), owner.token);
      expect(await seenBy(client, sent)).toEqual(always(413, 'payload_too_large'));
    });

    test('401 on an upload and on JSON without a token', async () => {
      const bytes = CAP_BYTES * 0.9;
      expect(await seenBy(client, uploadOf(bytes, undefined))).toEqual(always(401, 'unauthenticated'));
      expect(await seenBy(client, messageOf(100_000, undefined))).toEqual(always(401, 'unauthenticated'));
    });

    test('415 on bodies of another type, and 429 on what is an upload too many', async () => {
      const bytes = CAP_BYTES * 0.9;
      const uploader = await newAccount(rest);
      await rest.join(uploader.token, room);
      const sent = uploadOf(bytes, uploader.token, 'application/json');
      for (let upload = 0; upload < UPLOADS_PER_MINUTE; upload++) {
        expect(await CLIENTS[client](sent)).toEqual([415, 'unsupported_media_type']);
      }
      expect(await seenBy(client, sent)).toEqual(always(429, 'rate_limited'));
      expect(await seenBy(client, messageOf(100_000, owner.token, 'text/plain'))).toEqual(
        always(415, 'unsupported_media_type'),
      );
    });

    test('404 for a room that is not there, or a path', async () => {
      const bytes = CAP_BYTES * 0.9;
      const stranger = await newAccount(rest);
      const upload = uploadOf(bytes, stranger.token);
      const away = { ...upload, path: '/rooms/01890000-0000-7000-8000-000000000000/attachments' };
      expect(await CLIENTS[client](away)).toEqual([404, 'not_found']);
      expect(await seenBy(client, { ...upload, path: `/${freshName('nothing')}` })).toEqual(
        always(404, 'not_found'),
      );
    });
  });
}

describe('what is read of a refused body', () => {
  test.each([
    ['declared', `content-length: ${1_024 * MiB}`],
    ['in chunks', 'transfer-encoding: chunked'],
  ])('has an end, whatever a client sends: %s', { timeout: 30_000 }, async (_name, framing) => {
    const socket = connect(server.port, '127.0.0.1');
    let received = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      received += text;
    });
    socket.on('error', () => undefined);
    socket.write(
      `POST /api/v1/rooms/${room}/messages HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${owner.token}\r\n` +
        `content-type: application/json\r\n${framing}\r\n\r\n`,
    );
    const piece = framing.startsWith('t') ? `100000\r\n${'a'.repeat(MiB)}\r\n` : 'a'.repeat(MiB);
    let taken = 0;
    const send = (): void => {
      socket.write(piece, (error) => {
        if (error) return;
        taken++;
        send();
      });
    };
    send();
    await until(() => received.includes('payload_too_large'), 'the answer');
    expect(received).toMatch(/^HTTP\/1\.1 413 .*\r\nconnection: close\r\n/is);
    await until(async () => {
      const before = taken;
      await pause(200);
      return taken === before;
    }, 'nothing more being taken');
    expect(taken).toBeLessThan(64); // MiB: what is dropped, and what the sockets hold
    socket.destroy();
  });
});
