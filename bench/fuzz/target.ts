/** A live server as the fuzzer sees it: takes a case, and says what is wrong with the answer. */
import { connect, type Socket } from 'node:net';
import { Unpackr } from 'msgpackr';
import { WebSocket } from 'ws';
import { ERRORS } from '../../src/protocol/errors.js';
import { ID_PLACES } from './arbitrary.js';
import { type FuzzCase, TOKEN } from './cases.js';

const ANSWER_WITHIN_MS = 10_000; // longer than any deadline inside of the server but storage's
const HALF_CLOSE_MS = 150; // for a request that isn't finished; a whole one has its answer by then
const PICTURE =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });

export interface Target {
  /** Null where all is as promised, else what isn't. */
  run(fuzzCase: FuzzCase): Promise<string | null>;
  /** Whether the server still answers. */
  alive(): Promise<boolean>;
  close(): void;
}

interface World {
  readonly token: string;
  readonly ids: Readonly<Record<keyof typeof ID_PLACES, string>>;
}

export async function openTarget(origin: string): Promise<Target> {
  const url = new URL(origin);
  const world = await makeWorld(origin);
  const sockets = { json: frameTester(url, 'json', world), msgpack: frameTester(url, 'msgpack', world) };
  return {
    run({ kind, data }) {
      const bytes = filled(Buffer.from(data, 'base64'), world);
      return kind === 'http' ? askHttp(url, bytes) : sockets[kind].run(bytes);
    },
    async alive() {
      const answer = await fetch(`${origin}/api/v1/rooms/${world.ids.room}`, {
        headers: { authorization: `Bearer ${world.token}` },
      });
      return answer.status === 200;
    },
    close() {
      sockets.json.close();
      sockets.msgpack.close();
    },
  };
}

/** A room with a message and a file, and a room that isn't the fuzzer's business. */
async function makeWorld(origin: string): Promise<World> {
  const call = async (token: string, path: string, body: unknown): Promise<Record<string, string>> => {
    const response = await fetch(`${origin}/api/v1${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${text}`);
    return (JSON.parse(text) as { data: Record<string, string> }).data;
  };
  const account = async (name: string) => {
    const username = `${name}-${Math.random().toString(36).slice(2, 10)}`;
    const grant = await call('', '/auth/register', {
      username,
      email: `${username}@example.org`,
      password: 'correct horse battery',
    });
    return { token: grant.token ?? '', id: (grant.user as unknown as { id: string }).id };
  };
  const [me, other] = [await account('fuzz'), await account('other')];
  const room = await call(me.token, '/rooms', { name: 'fuzzed', type: 'public', member_ids: [other.id] });
  const hidden = await call(other.token, '/rooms', { name: 'hidden', type: 'private' });
  const message = await call(me.token, `/rooms/${room.id}/messages`, { content: 'fuzzed' });
  const form = new FormData();
  form.set('file', new Blob([Buffer.from(PICTURE, 'base64')], { type: 'image/png' }), 'a.png');
  const uploaded = await fetch(`${origin}/api/v1/rooms/${room.id}/attachments`, {
    method: 'POST',
    headers: { authorization: `Bearer ${me.token}` },
    body: form,
  });
  const { data: attachment } = (await uploaded.json()) as { data: { id: string } };
  const ids = {
    room: room.id,
    message: message.id,
    user: other.id,
    hidden: hidden.id,
    attachment: attachment.id,
  };
  return { token: me.token, ids: ids as World['ids'] };
}

/** The bytes with the run's own ids and token in their places. */
function filled(bytes: Buffer, { token, ids }: World): Buffer {
  let text = bytes.toString('latin1').replaceAll(TOKEN, token);
  for (const [name, place] of Object.entries(ID_PLACES))
    text = text.replaceAll(place, ids[name as keyof typeof ids]);
  return Buffer.from(text, 'latin1');
}

/** Sends a request as it stands, and half-closes: an unfinished one ends the connection. */
function askHttp(url: URL, bytes: Buffer): Promise<string | null> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ host: url.hostname, port: Number(url.port) });
    const received: Buffer[] = [];
    const done = (verdict: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(verdict);
    };
    const timer = setTimeout(() => done('no answer and no end of the connection'), ANSWER_WITHIN_MS);
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk);
      const verdict = judge(Buffer.concat(received), false);
      if (verdict !== undefined) done(verdict);
    });
    socket.on('error', () => undefined); // a reset is the server's right
    socket.on('close', () => done(judge(Buffer.concat(received), true) ?? null));
    socket.write(bytes);
    setTimeout(() => socket.end(), HALF_CLOSE_MS).unref();
  });
}

/** What is wrong with an answer; undefined while it isn't complete. */
function judge(bytes: Buffer, ended: boolean): string | null | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return ended ? null : undefined;
  const head = bytes.subarray(0, headEnd).toString('latin1');
  const status = Number(head.split(' ')[1]);
  if (!(status >= 200 && status < 600)) return `no status: ${head.slice(0, 100)}`;
  if (status === 500) return `500: ${bytes.subarray(headEnd).toString('utf8').slice(0, 300)}`;
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
  const body = bytes.subarray(headEnd + 4);
  if (body.length < length && !ended) return undefined;
  if (!/^content-type: application\/json/im.test(head) || body.length === 0) return null;
  return judgeBody(status, body.subarray(0, length).toString('utf8'));
}

function judgeBody(status: number, text: string): string | null {
  let body: { success?: boolean; code?: string; error?: string };
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    return `no JSON: ${text.slice(0, 200)}`;
  }
  if (status < 400) return body.success === true ? null : `a success without success: ${text.slice(0, 200)}`;
  const known = ERRORS[body.code as keyof typeof ERRORS] as { status: number } | undefined;
  if (known?.status !== status) return `${status} with the code ${body.code}`;
  return leaks(text) ? `an answer that tells of the inside: ${text.slice(0, 300)}` : null;
}

/** Words that stand in no sentence of the protocol. */
function leaks(text: string): boolean {
  return /PostgresError|at \w+ \(|node_modules|ECONN|select .* from|\.ts:\d|\.js:\d/.test(text);
}

/** Sends frames over one socket after another: the server closes some, as it should. */
function frameTester(url: URL, encoding: 'json' | 'msgpack', { token }: World) {
  let socket: WebSocket | null = null;
  let onFrame: (frame: Record<string, unknown>) => void = () => undefined;
  let onClose: (code: number) => void = () => undefined;

  const open = (): Promise<WebSocket> =>
    new Promise((resolve, reject) => {
      const fresh = new WebSocket(`ws://${url.host}/api/v1/ws`, [`parley.${encoding}`], {
        headers: { authorization: `Bearer ${token}` },
        perMessageDeflate: false,
      });
      fresh.on('error', reject);
      fresh.on('open', () => resolve(fresh));
      fresh.on('close', (code) => {
        if (socket === fresh) socket = null;
        onClose(code);
      });
      fresh.on('message', (data: Buffer, isBinary) =>
        onFrame((isBinary ? unpackr.unpack(data) : JSON.parse(data.toString())) as Record<string, unknown>),
      );
    });

  /** A ping behind the frame: when its pong is there, so is the frame's own answer, or it waits for the log. */
  async function run(bytes: Buffer): Promise<string | null> {
    const current = socket ?? (await open());
    socket = current;
    return new Promise((resolve) => {
      let wrong: string | null = null;
      const done = (verdict: string | null): void => {
        clearTimeout(timer);
        onFrame = () => undefined;
        onClose = () => undefined;
        resolve(verdict);
      };
      const timer = setTimeout(() => done('no pong'), ANSWER_WITHIN_MS);
      onClose = (code) => done(code === 1011 ? 'closed with 1011' : wrong);
      onFrame = (frame) => {
        wrong ??= judgeFrame(frame);
        if (frame.type === 'pong' && frame.ref === 'behind') done(wrong);
      };
      current.send(bytes, { binary: encoding === 'msgpack' });
      const ping = { type: 'ping', ref: 'behind' };
      current.send(encoding === 'json' ? JSON.stringify(ping) : packPing());
    });
  }

  return { run, close: () => socket?.close() };
}

/** {type: "ping", ref: "behind"} */
function packPing(): Uint8Array {
  return Buffer.from('\x82\xa4type\xa4ping\xa3ref\xa6behind', 'latin1');
}

function judgeFrame({ type, payload }: Record<string, unknown>): string | null {
  if (typeof type !== 'string') return 'a frame without a type';
  if (type !== 'error') return null;
  const { code } = payload as { code?: string };
  if (code === undefined || !Object.hasOwn(ERRORS, code)) return `an error with the code ${code}`;
  if (code === 'internal') return 'an internal error';
  return leaks(JSON.stringify(payload))
    ? `an error that tells of the inside: ${JSON.stringify(payload)}`
    : null;
}
