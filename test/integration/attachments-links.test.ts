import { request } from 'node:http';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Attachment, Message } from '../../src/protocol/model.js';
import { picture, upload } from '../helpers/attachments.js';
import { must } from '../helpers/deadline.js';
import { type Account, dataOf, newAccount, newRoom, type Rest, restClient } from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { connect } from '../helpers/ws-client.js';

/** Links to the server's own disk, as clients get them. */

const MiB = 1_024 * 1_024;
const PUBLIC_URL = 'https://files.example.org/chat';

interface Presigned {
  readonly attachment: Attachment;
  readonly upload: { readonly url?: string; readonly parts?: readonly { readonly url: string }[] };
}

interface World {
  readonly server: Server;
  readonly rest: Rest;
  readonly owner: Account;
  readonly room: string;
}

async function world(env: Readonly<Record<string, string>>): Promise<World> {
  const server = await startServerWithDatabase({ UPLOADS_PER_MINUTE: '0', ...env });
  const rest = restClient(server.url);
  const owner = await newAccount(rest);
  return { server, rest, owner, room: (await newRoom(rest, owner)).id };
}

const presign = async ({ rest, owner, room }: World, file_size: number) =>
  dataOf(
    await rest.post<Presigned>(`/rooms/${room}/attachments/presign`, owner.token, {
      file_name: 'a.bin',
      file_type: 'application/octet-stream',
      file_size,
    }),
  );

/** Sends a picture, while a member listens. */
async function shared({ server, rest, owner, room }: World) {
  const client = await connect({ wsUrl: server.wsUrl, token: owner.token });
  await client.ask('join_room', {}, room);
  const stored = dataOf(await upload(server.url, owner.token, room, { bytes: await picture() }));
  const sent = dataOf(await rest.send(owner.token, room, { content: '', attachment_ids: [stored.id] }));
  const frame = await client.next((each) => each.type === 'new_message', 'the message');
  const live = (frame.payload as unknown as { message: Message }).message;
  await client.close();
  return { stored, sent: must(sent.attachments[0]), live: must(live.attachments[0]) };
}

const linksOf = ({ storage_url, thumbnail_url }: Attachment) => [storage_url, must(thumbnail_url)];

describe('the headers of a file', () => {
  let here: World;
  let links: string[];
  let authorization: string;

  beforeAll(async () => {
    here = await world({});
    const { stored } = await shared(here);
    authorization = `Bearer ${here.owner.token}`;
    links = [stored.storage_url, `${here.server.url}/api/v1/attachments/${stored.id}/content`];
  });

  const ask = (link: string, method: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(link, { method, headers: { authorization, ...headers } });
  const OF_ANSWER = ['date', 'x-request-id'];
  const headersOf = ({ headers }: Response) =>
    Object.fromEntries([...headers].filter(([name]) => !OF_ANSWER.includes(name)));

  test('are told by HEAD as by GET, without the file', async () => {
    for (const link of links) {
      const [got, head] = [await ask(link, 'GET'), await ask(link, 'HEAD')];
      expect([head.status, headersOf(head)]).toEqual([200, headersOf(got)]);
      expect(headersOf(head)).toMatchObject({ 'content-type': 'image/png', 'accept-ranges': 'bytes' });
      expect((await head.arrayBuffer()).byteLength).toBe(0);
      expect(Number(head.headers.get('content-length'))).toBe((await got.arrayBuffer()).byteLength);
    }
  });

  test('are refused by HEAD as by GET', async () => {
    const { server } = here;
    expect((await ask(`${server.url}/api/v1/files/no-token`, 'HEAD')).status).toBe(403);
    expect((await fetch(must(links[1]), { method: 'HEAD' })).status).toBe(401);
    expect((await ask(`${server.url}/api/v1/attachments/${here.room}/content`, 'HEAD')).status).toBe(404);
  });

  test('spare whoever has the file from reading it again', async () => {
    for (const link of links) {
      const etag = must((await ask(link, 'HEAD')).headers.get('etag'));
      for (const [method, known] of [
        ['GET', etag],
        ['HEAD', etag],
        ['GET', `"another", W/${etag}`],
        ['GET', '*'],
      ] as const) {
        const answer = await ask(link, method, { 'if-none-match': known, range: 'bytes=0-3' });
        expect([answer.status, await answer.text()]).toEqual([304, '']);
        expect([answer.headers.get('etag'), answer.headers.get('cache-control')]).toEqual([
          etag,
          'private, max-age=300',
        ]);
      }
      expect((await ask(link, 'GET', { 'if-none-match': '"another"' })).status).toBe(200);
    }
  });

  test('every GET has its HEAD, on a connection that lives on', async () => {
    const { server, room } = here;
    for (const path of [`/rooms/${room}`, `/rooms/${room}/messages`, '/health/live', '/openapi.json']) {
      const [got, head] = [
        await ask(`${server.url}/api/v1${path}`, 'GET'),
        await ask(`${server.url}/api/v1${path}`, 'HEAD'),
      ];
      expect([head.status, await head.text()]).toEqual([200, '']);
      expect(head.headers.get('content-type')).toBe(got.headers.get('content-type'));
      expect(Number(head.headers.get('content-length'))).toBeGreaterThan(0);
    }
    const posted = await ask(`${server.url}/api/v1/rooms/${room}/join`, 'HEAD');
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
    const wrong = await ask(`${server.url}/api/v1/rooms/${room}/pins`, 'DELETE');
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS']);
  });
});

describe('without PUBLIC_URL', () => {
  let here: World;

  beforeAll(async () => {
    here = await world({ TRUST_PROXY: '127.0.0.2' });
  });

  /** The link of an attachment, as whoever asks with such headers gets it. */
  async function linkFor(
    id: string,
    headers: Readonly<Record<string, string>>,
    localAddress = '127.0.0.1',
  ): Promise<string> {
    const text = await new Promise<string>((resolve, reject) => {
      const outgoing = request(
        {
          host: '127.0.0.1',
          port: here.server.port,
          localAddress,
          path: `/api/v1/attachments/${id}`,
          headers: { authorization: `Bearer ${here.owner.token}`, ...headers },
        },
        (incoming) => {
          let body = '';
          incoming.setEncoding('utf8').on('data', (chunk: string) => {
            body += chunk;
          });
          incoming.on('end', () => resolve(body));
        },
      );
      outgoing.on('error', reject);
      outgoing.end();
    });
    return (JSON.parse(text) as { data: Attachment }).data.storage_url;
  }

  test('answers of REST have links that can be fetched as they stand', async () => {
    const { stored, sent } = await shared(here);
    const { rest, owner, room } = here;
    const read = dataOf(await rest.get<Attachment>(`/attachments/${stored.id}`, owner.token));
    const listed = must(must(dataOf(await rest.messages(owner.token, room))[0]).attachments[0]);
    for (const link of [stored, sent, read, listed].flatMap(linksOf)) {
      expect(link.startsWith(`${here.server.url}/api/v1/files/`)).toBe(true);
      expect((await fetch(link)).status).toBe(200);
    }
  });

  test('so have those that bring a file to storage, whole and in parts', async () => {
    const whole = await presign(here, 3);
    const put = await fetch(must(whole.upload.url), { method: 'PUT', body: 'abc' });
    expect(put.status).toBe(200);
    const inParts = await presign(here, 17 * MiB);
    for (const { url } of must(inParts.upload.parts)) {
      expect(url.startsWith(`${here.server.url}/api/v1/files/`)).toBe(true);
    }
  });

  test('events, which are the same for everybody, have paths', async () => {
    const { live } = await shared(here);
    for (const link of linksOf(live)) {
      expect(link.startsWith('/api/v1/files/')).toBe(true);
      expect((await fetch(new URL(link, here.server.url))).status).toBe(200);
    }
  });

  test('the host is the one that the client has called, if it is one', async () => {
    const { stored } = await shared(here);
    const startOf = async (...asked: [Record<string, string>, string?]) =>
      (await linkFor(stored.id, ...asked)).split('/api/v1/files/')[0];
    expect(await startOf({ host: 'chat.example.org:81' })).toBe('http://chat.example.org:81');
    expect(await startOf({ host: 'chat.example.org/evil' })).toBe('');
    const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'chat.example.org' };
    expect(await startOf(forwarded)).toBe('');
    expect(await startOf(forwarded, '127.0.0.2')).toBe('https://chat.example.org');
    expect(await startOf({ host: 'a.org', 'x-forwarded-for': '192.0.2.1' }, '127.0.0.2')).toBe('');
  });

  test('a link is good at any host', async () => {
    const { stored } = await shared(here);
    const { pathname } = new URL(await linkFor(stored.id, { host: 'chat.example.org' }));
    expect((await fetch(new URL(pathname, here.server.url))).status).toBe(200);
  });
});

test('with PUBLIC_URL every link starts with it, in events too', async () => {
  const there = await world({ PUBLIC_URL });
  const { stored, sent, live } = await shared(there);
  const { url } = (await presign(there, 3)).upload;
  for (const link of [...[stored, sent, live].flatMap(linksOf), must(url)]) {
    expect(link.startsWith(`${PUBLIC_URL}/api/v1/files/`)).toBe(true);
    expect(
      (await fetch(there.server.url + link.slice(PUBLIC_URL.length), { method: 'HEAD' })).status,
    ).not.toBe(404);
  }
});
