import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Config, StorageConfig } from '../config.js';
import type { Exchange } from './http-exchange.js';

/**
 * The demo client (web/), as the build left it in dist/web: one page at `/`, and beside it files whose names hold a hash
 * of their content. All of it is read once and kept: it is a few hundred kilobytes.
 */
const DIRECTORY = join(import.meta.dirname, '../../web');
const KEPT_MAX_BYTES = 4 * 1_024 * 1_024; // more than that is no build of web/
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const PAGE = 'index.html';

interface WebFile {
  readonly name: string;
  readonly body: Buffer;
  readonly contentType: string;
  readonly etag: string;
}

type Handler = (exchange: Exchange, res: HttpResponse, req: HttpRequest) => void;

/** Registers the page and its files. @throws where dist/web is missing or too big */
export function registerWebClient(
  on: (method: 'get', path: string, handle: Handler) => void,
  config: Pick<Config, 'storage' | 'attachments'>,
): void {
  const files = readFiles();
  const page = files.find(({ name }) => name === PAGE);
  if (page === undefined) throw new Error(`${join(DIRECTORY, PAGE)} is missing: npm run build`);
  const origins = foreignOrigins(config);
  on('get', '/', (exchange, _res, req) => {
    const headers = [
      ['content-security-policy', contentSecurityPolicy(req.getHeader('host'), origins)],
      ['referrer-policy', 'no-referrer'],
      ['cross-origin-opener-policy', 'same-origin'],
      ['permissions-policy', 'camera=(), microphone=(), geolocation=()'],
    ] as const;
    answerFile(exchange, req, page, { cacheControl: 'no-cache', headers });
  });
  for (const file of files) {
    if (file === page) continue;
    const cacheControl = 'public, max-age=31536000, immutable';
    on('get', `/${file.name}`, (exchange, _res, req) => answerFile(exchange, req, file, { cacheControl }));
  }
}

function answerFile(
  exchange: Exchange,
  req: HttpRequest,
  { body, contentType, etag }: WebFile,
  extra: { cacheControl: string; headers?: readonly (readonly [string, string])[] },
): void {
  const headers = [['etag', etag] as const, ...(extra.headers ?? [])];
  const { cacheControl } = extra;
  const known = req.getHeader('if-none-match').split(/\s*,\s*/);
  if (known.includes(etag)) exchange.answer({ status: 304, body: null, headers, cacheControl });
  else exchange.answer({ status: 200, body, contentType, headers, cacheControl });
}

function readFiles(): WebFile[] {
  let bytes = 0;
  return readdirSync(DIRECTORY)
    .filter((name) => extname(name) in TYPES)
    .map((name) => {
      const body = readFileSync(join(DIRECTORY, name));
      bytes += body.length;
      if (bytes > KEPT_MAX_BYTES) throw new Error(`${DIRECTORY} holds more than ${KEPT_MAX_BYTES} bytes`);
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
      return { name, body, contentType: TYPES[extname(name)] ?? '', etag };
    });
}

/** Where attachments are, when not here. */
function foreignOrigins({ storage, attachments }: Pick<Config, 'storage' | 'attachments'>): string[] {
  const origins = storage.type === 's3' ? [bucketOrigin(storage)] : [];
  if (attachments.publicUrl !== null) origins.push(new URL(attachments.publicUrl).origin);
  return origins;
}

/** As the signed links have it. */
function bucketOrigin(storage: Extract<StorageConfig, { type: 's3' }>): string {
  const { region, bucket, pathStyle } = storage;
  const url = new URL(storage.endpoint ?? `https://s3.${region}.amazonaws.com`);
  if (!pathStyle) url.host = `${bucket}.${url.host}`;
  return url.origin;
}

/** @param host as the client calls this server: some browsers don't count WebSockets as 'self' */
export function contentSecurityPolicy(host: string, origins: readonly string[]): string {
  const sockets = /^[\w.:[\]-]{1,255}$/.test(host) ? [`ws://${host}`, `wss://${host}`] : [];
  return [
    `default-src 'none'`,
    `script-src 'self'`,
    `style-src 'self'`,
    ["connect-src 'self'", ...sockets, ...origins].join(' '),
    ["img-src 'self' blob: data:", ...origins].join(' '),
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
    `require-trusted-types-for 'script'`,
    `trusted-types 'none'`,
  ].join('; ');
}
