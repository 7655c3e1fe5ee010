import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { AggregatorRegistry, prometheusContentType } from 'prom-client';
import type { ThreadMetrics } from '../ipc/process-messages.js';

const BODY_MAX_CHARS = 64; // of a log level

/** The status page (web/status), as the build left it. */
const STATUS_DIRECTORY = join(import.meta.dirname, '../../status');
const STATUS_FILES: Readonly<Record<string, readonly [name: string, type: string]>> = {
  '/status': ['index.html', 'text/html; charset=utf-8'],
  '/status.css': ['status.css', 'text/css; charset=utf-8'],
  '/status.js': ['status.js', 'text/javascript; charset=utf-8'],
};
const STATUS_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
};

export interface MetricsServer {
  readonly port: number;
  close(): void;
}

/**
 * Serves METRICS_PORT: `GET /metrics`, Prometheus text over all threads and processes, `GET /status`, a page that shows the
 * most important of them live, and `GET` or `PUT /log-level`.
 *
 * @param collect the figures of every thread that answers in time
 * @throws when the port can't be had, or the page wasn't built
 */
export async function serveMetrics(options: {
  readonly host: string;
  readonly port: number;
  readonly collect: () => Promise<readonly ThreadMetrics[]>;
  readonly logLevel: { get(): string; set(level: string): boolean };
}): Promise<MetricsServer> {
  const { host, port, collect, logLevel } = options;
  const page = new Map(
    Object.entries(STATUS_FILES).map(([path, [name, type]]) => [
      path,
      { type, body: readFileSync(join(STATUS_DIRECTORY, name)) },
    ]),
  );
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0] ?? '';
    const file = page.get(path);
    if (file !== undefined && request.method === 'GET') {
      response.writeHead(200, { ...STATUS_HEADERS, 'content-type': file.type }).end(file.body);
    } else if (path === '/metrics' && request.method === 'GET') {
      const text = await merged(await collect());
      response.setHeader('content-type', prometheusContentType);
      response.end(text);
    } else if (path === '/log-level' && request.method === 'PUT') {
      const known = logLevel.set(await bodyOf(request));
      response.writeHead(known ? 200 : 400).end(known ? `${logLevel.get()}\n` : 'no such level\n');
    } else if (path === '/log-level' && request.method === 'GET') response.end(`${logLevel.get()}\n`);
    else response.writeHead(404).end();
  }

  await listen(server, host, port);
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

/** One text out of the figures of many threads: equal series are added up. */
function merged(threads: readonly ThreadMetrics[]): Promise<string> {
  // The types want the figures of one registry; the function takes those of many.
  return AggregatorRegistry.aggregate(threads as never).metrics();
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > BODY_MAX_CHARS) return '';
  }
  return text.trim();
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
}
