import { createServer, type IncomingMessage, type Server } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createHttp, upload } from '../../client/src/index.js';
import { must } from '../helpers/deadline.js';

/** What arrived at the server of this test. */
interface Seen {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly type: string | undefined;
  readonly body: string;
}
type Answer = { status: number; data?: unknown; code?: string };

let server: Server;
let url: string;
let seen: Seen[];
let answer: (request: Seen) => Answer;

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
};

/** An HTTP server that answers as PROTOCOL §2 says of attachments, storage included. */
beforeEach(async () => {
  seen = [];
  server = createServer(async (request, response) => {
    const { authorization, 'content-type': type } = request.headers;
    const { method = '', url: path = '' } = request;
    const arrived = { method, path, authorization, type, body: await bodyOf(request) };
    seen.push(arrived);
    const { status, data, code } = answer(arrived);
    response.writeHead(status, { 'content-type': 'application/json' });
    const failure = { success: false, error: 'no', code, retry: false };
    response.end(JSON.stringify(code === undefined ? { success: true, data } : failure));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = must(server.address());
  url = typeof address === 'string' ? address : `http://127.0.0.1:${address.port}`;
});
afterEach(() => void server.close());

const httpOf = (tokens = ['good']) =>
  createHttp({ url, token: async (refused) => (refused === undefined ? tokens[0] : tokens[1]) ?? '' });
const file = new File(['0123456789'], 'digits.txt', { type: 'text/plain' });
const attachment = { id: 'a1', file_name: 'digits.txt' };
const steps = (): string[] => seen.map(({ method, path }) => `${method} ${path}`);

test('a file goes straight to storage in the parts that the server offers, and is completed', async () => {
  const headers = { 'x-signed': 'yes' };
  const part = (number: number, size: number) => ({
    method: 'PUT',
    url: `${url}/storage/${number}`,
    headers,
    part_number: number,
    size,
  });
  answer = ({ path }) => {
    const parts = [part(1, 4), part(2, 4), part(3, 2)];
    if (path.endsWith('/presign')) return { status: 201, data: { attachment, upload: { parts } } };
    return { status: 200, data: attachment };
  };
  const progress: number[] = [];
  const done = await upload(httpOf(), 'r', file, { onProgress: (sent) => void progress.push(sent) });
  expect(done).toEqual(attachment);
  expect(steps()).toEqual([
    'POST /api/v1/rooms/r/attachments/presign',
    'PUT /storage/1',
    'PUT /storage/2',
    'PUT /storage/3',
    'POST /api/v1/attachments/a1/complete',
  ]);
  expect(JSON.parse(must(seen[0]).body)).toEqual({
    file_name: 'digits.txt',
    file_type: 'text/plain',
    file_size: 10,
  });
  expect(seen.slice(1, 4).map(({ body, authorization }) => [body, authorization])).toEqual([
    ['0123', undefined],
    ['4567', undefined],
    ['89', undefined],
  ]);
  expect(progress).toEqual([0, 4, 4, 8, 8, 10]);
});

test('one address is one request, relative to the server where it is its own storage', async () => {
  answer = ({ path }) => {
    const to = { method: 'PUT', url: '/api/v1/blobs/x?sig=y', headers: {}, expires_at: '' };
    return path.endsWith('/presign')
      ? { status: 201, data: { attachment, upload: to } }
      : { status: 200, data: attachment };
  };
  await upload(httpOf(), 'r', file);
  expect(steps()[1]).toBe('PUT /api/v1/blobs/x?sig=y');
  expect(must(seen[1]).body).toBe('0123456789');
});

test('through the server where it offers nothing else, again with a fresh token where the first is refused', async () => {
  answer = ({ path, authorization }) => {
    if (path.endsWith('/presign')) return { status: 404, code: 'not_found' };
    if (authorization === 'Bearer old') return { status: 401, code: 'token_expired' };
    return { status: 201, data: attachment };
  };
  expect(await upload(httpOf(['old', 'new']), 'r', file, { fileName: 'other name.txt' })).toEqual(attachment);
  const last = must(seen.at(-1));
  expect([last.path, last.authorization]).toEqual(['/api/v1/rooms/r/attachments', 'Bearer new']);
  expect(last.type).toMatch(/^multipart\/form-data; boundary=/);
  expect(last.body).toContain('name="file"; filename="other name.txt"');
  expect(last.body).toContain('0123456789');
});

test('a refusal is told with its code, storage’s as unavailable', async () => {
  answer = ({ path }) =>
    path.endsWith('/presign') ? { status: 413, code: 'quota_exceeded' } : { status: 500 };
  await expect(upload(httpOf(), 'r', file)).rejects.toMatchObject({ code: 'quota_exceeded' });
  answer = ({ path }) => {
    const to = { method: 'PUT', url: `${url}/storage`, headers: {} };
    return path.endsWith('/presign') ? { status: 201, data: { attachment, upload: to } } : { status: 503 };
  };
  await expect(upload(httpOf(), 'r', file)).rejects.toMatchObject({ code: 'unavailable', retry: true });
});

test('an upload ends with its signal', async () => {
  answer = () => ({ status: 200, data: attachment });
  const signal = AbortSignal.abort(new Error('changed my mind'));
  await expect(upload(httpOf(), 'r', file, { signal, direct: false })).rejects.toThrow('changed my mind');
});
