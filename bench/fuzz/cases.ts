/** The cases of the fuzzer: bytes for a connection, made from the tables of routes and frames. */
import fc, { type Arbitrary } from 'fast-check';
import { Packr } from 'msgpackr';
import { ROUTES, type Route, type RouteName } from '../../src/http/routes.js';
import { CLIENT_FRAMES, type ClientFrameType } from '../../src/protocol/frames.js';
import { anId, anyJson, damaged, ID_PLACES, madeFrom, nastyText, nearlyOf } from './arbitrary.js';

/** One case; `data` is base64, so that the corpus keeps any bytes. The places of ids and TOKEN are filled in. */
export interface FuzzCase {
  readonly kind: 'http' | 'json' | 'msgpack';
  readonly data: string;
}

/** Stands for the access token in requests. */
export const TOKEN = '@TOKEN@';

/** They would end the session, or the room that all cases are about. */
const LEFT_OUT: ReadonlySet<RouteName> = new Set(['logout', 'delete_me', 'delete_room', 'delete_message']);
const names = (Object.keys(ROUTES) as RouteName[]).filter((name) => !LEFT_OUT.has(name));
const packr = new Packr({ useRecords: false, variableMapSize: true });
const BOUNDARY = 'fuzz';

const PLACE_OF: Readonly<Record<string, string>> = {
  roomId: ID_PLACES.room,
  messageId: ID_PLACES.message,
  userId: ID_PLACES.user,
  attachmentId: ID_PLACES.attachment,
};

const escaped = (text: string): string => {
  try {
    return encodeURIComponent(text);
  } catch {
    return '%ED%A0%80'; // a lone surrogate
  }
};
/** What may stand in a request line without ending it. */
const inLine = (text: string): string =>
  Buffer.from(text).toString('latin1').replaceAll('\u0000', '%00').replace(/\s/g, '%20');
const rawText = fc.oneof(nastyText.map(escaped), nastyText.map(inLine));

function pathOf(route: Route): Arbitrary<string> {
  const parts = route.path.split('/').map((part): Arbitrary<string> => {
    if (!part.startsWith(':')) return fc.constant(part);
    const place = PLACE_OF[part.slice(1)];
    const right = place === undefined ? fc.constantFrom('%F0%9F%91%8D', ':ok:', 'a') : fc.constant(place);
    return fc.oneof(
      { weight: 6, arbitrary: right },
      { weight: 1, arbitrary: anId },
      { weight: 1, arbitrary: rawText },
    );
  });
  return fc.tuple(...parts).map((each) => each.join('/'));
}

function queryOf(route: Route): Arbitrary<string> {
  const known = Object.entries(
    (route.query as { properties?: Record<string, object> } | null)?.properties ?? {},
  );
  const pair = fc.oneof(
    ...known.map(([name, schema]) => madeFrom(schema).map((value) => `${name}=${escaped(String(value))}`)),
    ...known.map(([name]) => rawText.map((value) => `${name}=${value}`)),
    fc.tuple(rawText, rawText).map(([name, value]) => `${name}=${value}`),
  );
  return fc.array(pair, { maxLength: 4 }).map((pairs) => (pairs.length === 0 ? '' : `?${pairs.join('&')}`));
}

const header = fc
  .tuple(
    fc.constantFrom(
      ...[
        'x-request-id',
        'x-forwarded-for',
        'origin',
        'range',
        'if-range',
        'accept',
        'expect',
        'cookie',
        'te',
      ],
      ...[
        'user-agent',
        'content-encoding',
        'upgrade',
        'connection',
        'sec-websocket-protocol',
        'x-http-method-override',
      ],
    ),
    nastyText,
  )
  .map(([name, value]) => `${name}: ${inLine(value).replace(/[\r\n]/g, '')}`);

const authorization = fc.oneof(
  { weight: 12, arbitrary: fc.constant(`Bearer ${TOKEN}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', 'Bearer', 'Basic YTpi', `Bearer ${TOKEN}x`, `bearer  ${TOKEN}`),
  },
  { weight: 1, arbitrary: rawText.map((token) => `Bearer ${token}`) },
);

/** JSON, now and then with a member twice. */
const jsonOf = (value: unknown, twice: boolean): string => {
  const text = JSON.stringify(value) ?? '';
  return twice && text.startsWith('{"') ? text.replace(/^\{(.*)\}$/s, '{$1,$1}') : text;
};

const part = fc
  .tuple(fc.constantFrom('file', 'file', 'other', ''), nastyText, rawText, fc.uint8Array({ maxLength: 200 }))
  .map(([name, file, type, bytes]) =>
    Buffer.concat([
      Buffer.from(`--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"; filename="${file}"\r\n`),
      Buffer.from(`content-type: ${type}\r\n\r\n`),
      Buffer.from(bytes),
      Buffer.from('\r\n'),
    ]),
  );
const form = fc
  .tuple(fc.array(part, { maxLength: 3 }), fc.constantFrom(`--${BOUNDARY}--\r\n`, `--${BOUNDARY}`, ''))
  .map(([parts, end]) => Buffer.concat([...parts, Buffer.from(end)]));

function bodyOf(route: Route): Arbitrary<Buffer> {
  if (route.form === true) return fc.oneof(form, damaged(form));
  if (route.body === null) return fc.constant(Buffer.alloc(0));
  const text = fc
    .tuple(nearlyOf(route.body as object), fc.integer({ min: 0, max: 19 }))
    .map(([value, dice]) => Buffer.from(jsonOf(value, dice === 0)));
  return fc.oneof({ weight: 5, arbitrary: text }, { weight: 1, arbitrary: damaged(text) });
}

function requestOf(route: Route): Arbitrary<Buffer> {
  const method = fc.oneof(
    { weight: 12, arbitrary: fc.constant(route.method.toUpperCase()) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('GET', 'HEAD', 'OPTIONS', 'PUT', 'TRACE', 'CONNECT', 'get', 'X'),
    },
  );
  const right = route.form === true ? `multipart/form-data; boundary=${BOUNDARY}` : 'application/json';
  const type = fc.oneof({ weight: 8, arbitrary: fc.constant(right) }, { weight: 1, arbitrary: rawText });
  return fc
    .tuple(
      method,
      pathOf(route),
      queryOf(route),
      fc.array(header, { maxLength: 2 }),
      authorization,
      type,
      bodyOf(route),
    )
    .map(([verb, path, query, headers, credentials, contentType, body]) => {
      const lines = [
        `${verb} /api/v1${path}${query} HTTP/1.1`,
        'host: 127.0.0.1',
        ...headers,
        ...(credentials === '' ? [] : [`authorization: ${credentials}`]),
        ...(route.body === null && route.form !== true ? [] : [`content-type: ${contentType}`]),
        `content-length: ${body.length}`,
      ];
      return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]);
    });
}

function frameOf(type: ClientFrameType): Arbitrary<unknown> {
  return fc.record(
    {
      type: fc.oneof({ weight: 12, arbitrary: fc.constant(type) }, { weight: 1, arbitrary: anyJson }),
      room_id: fc.oneof({ weight: 8, arbitrary: anId }, { weight: 1, arbitrary: anyJson }),
      ref: fc.oneof(fc.integer(), nastyText, anyJson),
      payload: nearlyOf(CLIENT_FRAMES[type].payload as object),
    },
    { requiredKeys: ['type'] },
  );
}

const frame = fc.constantFrom(...(Object.keys(CLIENT_FRAMES) as ClientFrameType[])).chain(frameOf);
const jsonFrame = fc
  .tuple(frame, fc.integer({ min: 0, max: 19 }))
  .map(([value, dice]) => Buffer.from(jsonOf(value, dice === 0)));
const msgpackFrame = frame.map((value) => Buffer.from(packr.pack(value)));

const mostly = (right: Arbitrary<Buffer>): Arbitrary<Buffer> =>
  fc.oneof({ weight: 4, arbitrary: right }, { weight: 1, arbitrary: damaged(right) });
const caseOf = (kind: FuzzCase['kind'], bytes: Arbitrary<Buffer>): Arbitrary<FuzzCase> =>
  bytes.map((data) => ({ kind, data: data.toString('base64') }));

export const anyCase: Arbitrary<FuzzCase> = fc.oneof(
  caseOf('http', mostly(fc.constantFrom(...names).chain((name) => requestOf(ROUTES[name])))),
  caseOf('json', mostly(jsonFrame)),
  caseOf('msgpack', mostly(msgpackFrame)),
);
