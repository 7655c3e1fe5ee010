import { connect } from 'node:net';
import { DEADLINE_MS, within } from './deadline.js';

/** An HTTP answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
  /** The `code` of a failed answer in Parley's shape, else null. */
  readonly code: string | null;
  /** The `field` of such an answer, else null. */
  readonly field: string | null;
}

/**
 * Sends bytes as they stand and gives the first answer; for requests that fetch would correct or refuse to make. null
 * where the server closes the connection without an answer.
 */
export function rawExchange(port: number, bytes: string | Buffer): Promise<RawAnswer | null> {
  const socket = connect({ port, host: '127.0.0.1' });
  const answer = new Promise<RawAnswer | null>((resolve) => {
    let received = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const complete = parseAnswer(received, false);
      if (complete !== null) resolve(complete);
    });
    socket.on('error', () => undefined); // a reset after the answer is the server's right
    socket.on('close', () => resolve(parseAnswer(received, true)));
    socket.write(bytes);
  });
  return within(answer, DEADLINE_MS, 'an HTTP answer').finally(() => socket.destroy());
}

/** One request with a body of bytes, its length declared truly unless `headers` say otherwise. */
export function rawRequest(
  port: number,
  request: {
    readonly method: string;
    readonly path: string;
    readonly token?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Buffer;
  },
): Promise<RawAnswer | null> {
  const body = Buffer.from(request.body ?? '');
  const headers: Record<string, string> = {
    host: `127.0.0.1:${port}`,
    'content-type': 'application/json',
    'content-length': String(body.length),
    ...(request.token === undefined ? {} : { authorization: `Bearer ${request.token}` }),
    ...request.headers,
  };
  const lines = Object.entries(headers)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `${request.method} /api/v1${request.path} HTTP/1.1\r\n${lines.join('')}\r\n`;
  return rawExchange(port, Buffer.concat([Buffer.from(head), body]));
}

function parseAnswer(received: Buffer, ended: boolean): RawAnswer | null {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const [statusLine = '', ...lines] = received.subarray(0, headEnd).toString('latin1').split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const body = received.subarray(headEnd + 4);
  const length = headers.get('content-length');
  if (!ended && (length === undefined || body.length < Number(length))) return null;
  const text = body.toString('utf8');
  return { status: Number(statusLine.split(' ')[1]), headers, text, ...refusalIn(text) };
}

function refusalIn(text: string): { code: string | null; field: string | null } {
  try {
    const { code = null, field = null } = JSON.parse(text) as { code?: string; field?: string };
    return { code, field };
  } catch {
    return { code: null, field: null };
  }
}
