import type { GrantSigner } from '../attachments/local-links.js';
import { presentation } from '../attachments/presentation.js';
import {
  type ByteRange,
  type LinkOptions,
  ObjectMissing,
  type ObjectStorage,
} from '../attachments/storage-port.js';
import type { FromTransfer, ToTransfer } from '../ipc/messages.js';
import { Refusal } from '../protocol/errors.js';
import type { AttachmentService } from '../rooms/attachment-service.js';
import { parseRange } from './ranges.js';

const AT_ONCE_MAX = 512; // each holds an open file and at most a window of bytes

const CACHE_S = 300; // a link is good for longer

type Header = readonly [name: string, value: string];
type Download = Extract<ToTransfer, { t: 'download' }>;

export interface Downloads {
  /**
   * Answers with the content, as fast as the client takes it; or with what says where it is instead.
   * @throws Refusal, StorageUnavailable: before the first byte
   */
  download(
    request: Download,
  ): Promise<{ readonly redirect: string } | { readonly unsatisfiable: number } | null>;
  pull(message: Extract<ToTransfer, { t: 'pull' }>): void;
  cancel(id: number): void;
}

interface Client {
  credit: number;
  gone: boolean;
  wake: () => void;
}

interface Served {
  readonly key: string;
  readonly size: number;
  readonly type: string;
  readonly disposition: string;
}

export function createDownloads(ports: {
  readonly storage: ObjectStorage;
  /** Local storage's links; null: storage has its own. */
  readonly grants: GrantSigner | null;
  /** A link for who may see the attachment. */
  readonly linkTo: (key: string, show: Pick<LinkOptions, 'type' | 'disposition' | 'method'>) => string;
  readonly attachments: AttachmentService;
  readonly post: (message: FromTransfer) => void;
}): Downloads {
  const { storage, grants, post } = ports;
  const clients = new Map<number, Client>();

  async function allowed(of: Download['of']): Promise<Served> {
    if ('attachment_id' in of) {
      const record = await ports.attachments.see(of.caller.user_id, of.attachment_id);
      const { storage_key: key, file_size: size, file_name, file_type } = record;
      return { key, size, ...presentation(file_name, file_type) };
    }
    const grant = grants?.read(of.token, Date.now()) ?? null;
    if (grant?.op !== 'get') {
      throw new Refusal('forbidden', { sentence: 'This link is not valid, or no longer.' });
    }
    const found = await storage.head(grant.key);
    if (found === null) throw new Refusal('not_found');
    return { key: grant.key, size: found.size, type: grant.type, disposition: grant.disposition };
  }

  async function send(id: number, client: Client, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of bytes) {
      while (client.credit <= 0 && !client.gone) {
        await new Promise<void>((resolve) => {
          client.wake = resolve;
        });
      }
      if (client.gone) return;
      client.credit -= chunk.length;
      post({ t: 'bytes', id, bytes: owned(chunk) });
    }
  }

  async function stream(
    request: Download,
    client: Client,
    served: Served,
    range: ByteRange | null,
  ): Promise<void> {
    const { id } = request;
    const { key, size } = served;
    const bytes = await storage.get(key, range ?? undefined).catch((error: unknown) => {
      throw error instanceof ObjectMissing ? new Refusal('not_found') : error;
    });
    post({
      t: 'content',
      id,
      status: range === null ? 200 : 206,
      headers: [
        ...headersOf(served),
        ...(range === null ? [] : [['content-range', `bytes ${range.start}-${range.end}/${size}`] as const]),
      ],
      length: range === null ? size : range.end - range.start + 1,
    });
    try {
      await send(id, client, bytes);
    } catch {
      post({ t: 'broken', id });
    }
  }

  async function serve(request: Download, client: Client): ReturnType<Downloads['download']> {
    const served = await allowed(request.of);
    const { type, disposition } = served;
    const method = request.head ? 'HEAD' : 'GET';
    if (grants === null) return { redirect: ports.linkTo(served.key, { type, disposition, method }) };
    if (isKnown(request.ifNoneMatch, etagOf(served.key))) {
      post({ t: 'content', id: request.id, status: 304, headers: cacheHeaders(served), length: 0 });
      return null;
    }
    if (request.head) {
      if ((await storage.head(served.key)) === null) throw new Refusal('not_found');
      post({ t: 'content', id: request.id, status: 200, headers: headersOf(served), length: served.size });
      return null;
    }
    const isCurrent = request.ifRange === '' || request.ifRange === etagOf(served.key);
    const range = isCurrent ? parseRange(request.range, served.size) : null;
    if (range === 'unsatisfiable') return { unsatisfiable: served.size };
    await stream(request, client, served, range);
    return null;
  }

  return {
    async download(request) {
      if (clients.size >= AT_ONCE_MAX) throw new Refusal('overloaded');
      // Known from the start: whoever leaves before the first byte must not be waited for.
      const client: Client = { credit: 0, gone: false, wake: () => undefined };
      clients.set(request.id, client);
      try {
        return await serve(request, client);
      } finally {
        clients.delete(request.id);
      }
    },
    pull({ id, bytes }) {
      const client = clients.get(id);
      if (client === undefined) return;
      client.credit += bytes;
      client.wake();
    },
    cancel(id) {
      const client = clients.get(id);
      if (client === undefined) return;
      client.gone = true;
      client.wake();
    },
  };
}

function headersOf(served: Served): Header[] {
  return [
    ['content-type', served.type],
    ['content-disposition', served.disposition],
    ['accept-ranges', 'bytes'],
    ...cacheHeaders(served),
  ];
}

/** What a cache that has the content is told again. */
function cacheHeaders({ key }: Served): Header[] {
  return [
    ['content-security-policy', "sandbox; default-src 'none'"],
    ['cache-control', `private, max-age=${CACHE_S}`],
    ['etag', etagOf(key)],
  ];
}

/** Whether an If-None-Match header names the content (RFC 9110 §13.1.2). */
function isKnown(ifNoneMatch: string, etag: string): boolean {
  const known = ifNoneMatch.split(',').map((each) => each.trim().replace(/^W\//, ''));
  return known.includes(etag) || known.includes('*');
}

/** The bytes with a buffer of their own, which can be transferred: files are read into such, smaller pieces share one. */
function owned(chunk: Uint8Array): Uint8Array {
  return chunk.byteLength === chunk.buffer.byteLength ? chunk : Uint8Array.from(chunk);
}

/** What is under a key never changes. */
function etagOf(key: string): string {
  return `"${key.slice(key.indexOf('/') + 1)}"`;
}
