import { request } from 'node:http';
import sharp from 'sharp';
import type { Attachment } from '../../src/protocol/model.js';
import { checkAnswer } from './conformance.js';
import { parseAnswer, type RestAnswer } from './rest-client.js';

/** Uploads a file as a form, as browsers do. */
export async function upload(
  serverUrl: string,
  token: string,
  roomId: string,
  file: {
    readonly name?: string;
    readonly type?: string;
    readonly bytes: Uint8Array;
    readonly field?: string;
  },
): Promise<RestAnswer<Attachment>> {
  const form = new FormData();
  const blob = new Blob([file.bytes as Uint8Array<ArrayBuffer>], { type: file.type ?? 'image/png' });
  form.set(file.field ?? 'file', blob, file.name ?? 'picture.png');
  const response = await fetch(`${serverUrl}/api/v1/rooms/${roomId}/attachments`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: form,
  });
  const answer = await parseAnswer<Attachment>(response);
  checkAnswer('POST', `/rooms/${roomId}/attachments`, answer.status, answer.body);
  return answer;
}

const BOUNDARY = 'a-boundary-of-the-tests';

export interface SlowUpload {
  readonly answer: Promise<{ readonly status: number; readonly body: string }>;
  /** Resolves when the socket has taken the bytes, which it does no faster than the server reads. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly end: () => void;
  readonly abort: () => void;
}

/** An upload whose file is written piece by piece. `size`: of the file; null sends no content-length. */
export function slowUpload(
  serverUrl: string,
  token: string,
  roomId: string,
  size: number | null,
  type = 'application/octet-stream',
): SlowUpload {
  const head = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="big.bin"\r\ncontent-type: ${type}\r\n\r\n`;
  const tail = `\r\n--${BOUNDARY}--\r\n`;
  const outgoing = request(`${serverUrl}/api/v1/rooms/${roomId}/attachments`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      ...(size === null ? {} : { 'content-length': head.length + size + tail.length }),
    },
  });
  const answer = new Promise<{ status: number; body: string }>((resolve, reject) => {
    outgoing.on('response', (incoming) => {
      let body = '';
      incoming.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body }));
      incoming.on('error', reject);
    });
    outgoing.on('error', reject);
  });
  answer.catch(() => undefined);
  outgoing.write(head);
  return {
    answer,
    write: (bytes) =>
      new Promise((resolve, reject) => outgoing.write(bytes, (e) => (e ? reject(e) : resolve()))),
    end: () => void outgoing.end(tail),
    abort: () => void outgoing.destroy(),
  };
}

/** A picture with metadata that nobody should get to see. */
export async function picture(width = 640, height = 480): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: { r: 200, g: 30, b: 90 } } })
    .withExif({ IFD0: { Copyright: 'secret place' } })
    .png()
    .toBuffer();
}
