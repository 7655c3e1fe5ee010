import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AggregatorRegistry, prometheusContentType } from 'prom-client';
import type { ThreadMetrics } from '../ipc/process-messages.js';
import { createStatusPage, STATUS_HEADERS } from './status-page.js';
import type { Family } from './status-sample.js';

const BODY_MAX_CHARS = 64; // of a log level

export interface MetricsServer {
  readonly port: number;
  close(): void;
}

/**
 * Serves METRICS_PORT: `GET /metrics`, Prometheus text over all threads and processes, `GET /status`, the same for people,
 * and `GET` or `PUT /log-level`.
 *
 * @param collect the figures of every thread that answers in time
 * @throws when the port can't be had
 */
export async function serveMetrics(options: {
  readonly host: string;
  readonly port: number;
  readonly collect: () => Promise<readonly ThreadMetrics[]>;
  readonly logLevel: { get(): string; set(level: string): boolean };
}): Promise<MetricsServer> {
  const { host, port, collect, logLevel } = options;
  const statusPage = createStatusPage(async () => families(await collect()));
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0];
    if (path === '/metrics' && request.method === 'GET') {
      const text = await merged(await collect());
      response.setHeader('content-type', prometheusContentType);
      response.end(text);
    } else if (path === '/status' && request.method === 'GET') {
      const page = await statusPage();
      response.writeHead(200, STATUS_HEADERS).end(page);
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
  return together(threads).metrics();
}

async function families(threads: readonly ThreadMetrics[]): Promise<readonly Family[]> {
  return (await together(threads).getMetricsAsJSON()) as unknown as readonly Family[];
}

function together(threads: readonly ThreadMetrics[]) {
  // The types want the figures of one registry; the function takes those of many.
  return AggregatorRegistry.aggregate(threads as never);
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
