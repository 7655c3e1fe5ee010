import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { afterAll } from 'vitest';

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' };

/**
 * Serves the checkout as any static file server would, apart from Parley: a page of another origin, which can be reloaded
 * while Parley is down. Ends with the test file.
 *
 * @param pages of the test's own, by path
 * @returns the origin
 */
export async function staticSite(pages: Readonly<Record<string, string>> = {}): Promise<string> {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://site').pathname);
    response.setHeader('content-type', TYPES[extname(path)] ?? 'text/plain');
    try {
      response.end(pages[path] ?? (await readFile(join('.', path))));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
