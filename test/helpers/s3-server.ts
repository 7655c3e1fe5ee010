import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import type { IncomingMessage, Server } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { inject } from 'vitest';
import { freePort } from '../../src/lib/free-port.js';
import { until } from './deadline.js';
import { begunUploads, externalS3, type S3Server, s3Client } from './external-s3.js';
import { spawnTracked } from './server-process.js';

export type { S3Server } from './external-s3.js';

const BUCKET = 'attachments';
/** Whether the server under test checks signatures: s3rver takes any of version 4. */
export const CHECKS_SIGNATURES =
  process.env.PARLEY_TEST_VERSITYGW !== undefined || process.env.PARLEY_TEST_S3_ENDPOINT !== undefined;
const KEYS = { accessKey: 'S3RVER', secretKey: 'S3RVER' };

/**
 * Starts s3rver, or versitygw where PARLEY_TEST_VERSITYGW names its binary; where PARLEY_TEST_S3_ENDPOINT names a
 * server, that one is used (external-s3.ts). s3rver knows nothing of what is done to
 * unfinished uploads: that is added here, over the files it keeps.
 */
export async function startS3(): Promise<S3Server> {
  const external = process.env.PARLEY_TEST_S3_ENDPOINT;
  if (external !== undefined) return externalS3(external);
  const directory = join(inject('runDirectory'), `s3-${randomBytes(6).toString('hex')}`);
  await mkdir(join(directory, BUCKET), { recursive: true });
  const port = await freePort({ host: '127.0.0.1', port: 0 });
  const gateway = process.env.PARLEY_TEST_VERSITYGW;
  const open =
    gateway === undefined ? () => s3rver(directory, port) : () => versitygw(gateway, directory, port);
  let close = await open();
  const endpoint = `http://127.0.0.1:${port}`;
  const config = {
    type: 's3',
    endpoint,
    ...KEYS,
    bucket: BUCKET,
    region: 'us-east-1',
    pathStyle: true,
  } as const;
  const client = s3Client(config);
  return {
    config,
    env: {
      STORAGE_TYPE: 'minio',
      STORAGE_ENDPOINT: endpoint,
      STORAGE_ACCESS_KEY: KEYS.accessKey,
      STORAGE_SECRET_KEY: KEYS.secretKey,
      STORAGE_BUCKET: BUCKET,
    },
    left: () => filesUnder(join(directory, BUCKET)),
    begun: () => begunUploads(client, BUCKET),
    stop: () => close(),
    start: async () => {
      close = await open();
    },
  };
}

/** Files of content: what names neither metadata nor checksums. A directory may go while it is read: again then. */
async function filesUnder(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(
    (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && existsSync(directory)) return null;
      throw error;
    },
  );
  if (entries === null) return filesUnder(directory);
  return entries
    .filter((entry) => entry.isFile() && !/metadata|\.md5$|^key$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}

async function versitygw(binary: string, directory: string, port: number): Promise<() => Promise<void>> {
  const flags = [
    '--port',
    `127.0.0.1:${port}`,
    '--access',
    KEYS.accessKey,
    '--secret',
    KEYS.secretKey,
    '--quiet',
  ];
  const child = spawnTracked(binary, [...flags, 'posix', directory], {});
  await until(async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => null)) !== null, 'versitygw');
  return async () => {
    child.kill('SIGKILL');
    await child.exit;
  };
}

interface Context {
  readonly req: IncomingMessage;
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string | undefined>>;
  status: number;
  type: string;
  body: unknown;
}
type Middleware = (context: Context, next: () => Promise<void>) => Promise<void>;
interface S3rver {
  readonly middleware: Middleware[];
  readonly httpServer: Server;
  run(): Promise<unknown>;
}

async function s3rver(directory: string, port: number): Promise<() => Promise<void>> {
  const S3rverClass = createRequire(import.meta.url)('s3rver') as new (options: object) => S3rver;
  const options = {
    address: '127.0.0.1',
    port,
    directory,
    silent: true,
    configureBuckets: [{ name: BUCKET }],
  };
  const server = new S3rverClass(options);
  server.middleware.unshift(unfinishedUploads(join(directory, BUCKET, '._S3rver_uploads')));
  await server.run();
  return () =>
    new Promise((resolve) => {
      server.httpServer.close(() => resolve());
      server.httpServer.closeAllConnections();
    });
}

/** ListMultipartUploads, ListParts and AbortMultipartUpload; parts of aborted uploads are refused. */
function unfinishedUploads(uploads: string): Middleware {
  const aborted = new Set<string>();
  const arriving = new Map<string, number>(); // parts, by their upload
  const storePart = async (id: string, request: IncomingMessage, store: () => Promise<void>) => {
    const change = (by: number) => arriving.set(id, (arriving.get(id) ?? 0) + by);
    change(1);
    const stored = store();
    // s3rver waits for ever for what a client that is gone didn't send.
    await Promise.race([stored, once(request, 'close')]).finally(() => change(-1));
    await stored;
  };
  return async (context, next) => {
    const { uploads: listing, uploadId, partNumber, prefix = '' } = context.query;
    const answer = (body: string): void => {
      context.status = 200;
      context.type = 'application/xml';
      context.body = `<?xml version="1.0" encoding="UTF-8"?>\n${body}`;
    };
    if (context.method === 'GET' && listing !== undefined) {
      const ids = await readdir(uploads).catch(() => []);
      const all = await Promise.all(
        ids.map(async (id) => ({
          id,
          key: await readFile(join(uploads, id, 'key'), 'utf8').catch(() => ''),
          at: await stat(join(uploads, id, 'key')).then(
            ({ mtime }) => mtime,
            () => new Date(),
          ),
        })),
      );
      const found = all.filter(({ key }) => key.startsWith(prefix));
      const rows = found.map(
        ({ id, key, at }) =>
          `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${at.toISOString()}</Initiated></Upload>`,
      );
      return answer(`<ListMultipartUploadsResult>${rows.join('')}</ListMultipartUploadsResult>`);
    }
    if (uploadId === undefined) return next();
    const isGone = aborted.has(uploadId);
    if (partNumber !== undefined && !isGone) return storePart(uploadId, context.req, next);
    const names = await readdir(join(uploads, uploadId)).catch(() => null);
    if (isGone || (names === null && context.method !== 'POST')) {
      answer('<Error><Code>NoSuchUpload</Code></Error>');
      context.status = 404;
    } else if (context.method === 'GET') {
      const numbers = (names ?? []).filter((name) => /^\d+$/.test(name)).map(Number);
      const parts = numbers
        .sort((a, b) => a - b)
        .map(async (number) => {
          const etag = await readFile(join(uploads, uploadId, `${number}.md5`), 'utf8').catch(
            () => 'unknown',
          );
          const { size } = await stat(join(uploads, uploadId, String(number)));
          return `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag><Size>${size}</Size></Part>`;
        });
      answer(`<ListPartsResult>${(await Promise.all(parts)).join('')}</ListPartsResult>`);
    } else if (context.method === 'DELETE') {
      aborted.add(uploadId);
      // s3rver fails as a whole where a part's directory goes while it is written.
      await until(() => (arriving.get(uploadId) ?? 0) === 0, 'no part under way');
      await rm(join(uploads, uploadId), { recursive: true, force: true });
      context.status = 204;
      context.body = null;
    } else return next();
  };
}
