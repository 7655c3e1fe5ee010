import type { GrantSigner } from '../attachments/local-links.js';
import { type LocalStorage, type NextPiece, READ_BYTES } from '../attachments/local-storage.js';
import { presentation } from '../attachments/presentation.js';
import { type ByteRange, type LinkOptions, ObjectMissing } from '../attachments/storage-port.js';
import type { FromTransfer, ToTransfer } from '../ipc/messages.js';
import { Refusal } from '../protocol/errors.js';
import type { AttachmentService } from '../rooms/attachment-service.js';
import { parseRange } from './ranges.js';

const AT_ONCE_MAX = 512; // each holds an open file and a ring
const PIECES = 4; // of a download in flight; the front gives credit for as many
const RINGS_KEPT_MAX = 16; // 4 MiB, for downloads to come

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
  /** Pieces that haven't gone to the socket. */
  inFlight: number;
  gone: boolean;
  wake: () => void;
}

interface Served {
  readonly key: string;
  readonly size: number;
  readonly type: string;
  readonly disposition: string;
}

/**
 * A file goes through a ring of shared memory: a piece of it is written anew once the front has said that the piece went
 * to the socket. With fresh memory for every piece, a gigabyte of it waits for the collectors of two threads.
 */
export function createDownloads(ports: {
  /** Null: storage has links of its own, and gives out everything itself. */
  readonly local: {
    readonly storage: Pick<LocalStorage, 'head' | 'read'>;
    readonly grants: GrantSigner;
  } | null;
  /** A link for who may see the attachment. */
  readonly linkTo: (key: string, show: Pick<LinkOptions, 'type' | 'disposition' | 'method'>) => string;
  readonly attachments: AttachmentService;
  readonly post: (message: FromTransfer) => void;
}): Downloads {
  const { local, post } = ports;
  const clients = new Map<number, Client>();
  const rings = new Map<number, SharedArrayBuffer>(); // of what is in flight, also after the last piece was read
  const free: SharedArrayBuffer[] = [];

  async function allowed(of: Download['of']): Promise<Served> {
    if ('attachment_id' in of) {
      const record = await ports.attachments.see(of.caller.user_id, of.attachment_id);
      const { storage_key: key, file_size: size, file_name, file_type } = record;
      return { key, size, ...presentation(file_name, file_type) };
    }
    const grant = local?.grants.read(of.token, Date.now());
    if (local === null || grant?.op !== 'get') {
      throw new Refusal('forbidden', { sentence: 'This link is not valid, or no longer.' });
    }
    const found = await local.storage.head(grant.key);
    if (found === null) throw new Refusal('not_found');
    return { key: grant.key, size: found.size, type: grant.type, disposition: grant.disposition };
  }

  /** Gives one piece of a ring after the other, each when the client has room and what was in it has gone. */
  function piecesOf(ring: SharedArrayBuffer, client: Client): NextPiece {
    let given = 0;
    return async () => {
      while ((client.credit <= 0 || client.inFlight === PIECES) && !client.gone) {
        await new Promise<void>((resolve) => {
          client.wake = resolve;
        });
      }
      return new Uint8Array(ring, (given++ % PIECES) * READ_BYTES, READ_BYTES);
    };
  }

  async function send(id: number, client: Client, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const piece of bytes) {
      if (client.gone) return;
      client.credit -= piece.length;
      client.inFlight++;
      post({ t: 'bytes', id, bytes: piece });
    }
  }

  async function stream(
    storage: Pick<LocalStorage, 'read'>,
    { id }: Download,
    client: Client,
    served: Served,
    range: ByteRange | null,
  ): Promise<void> {
    const { key, size } = served;
    const ring = free.pop() ?? new SharedArrayBuffer(PIECES * READ_BYTES);
    const read = storage.read(key, range ?? undefined, piecesOf(ring, client));
    const bytes = await read.catch((error: unknown) => {
      throw error instanceof ObjectMissing ? new Refusal('not_found') : error;
    });
    if (!client.gone) rings.set(id, ring);
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
      rings.delete(id); // nobody says when the front has let go of it
      post({ t: 'broken', id });
    }
  }

  async function serve(request: Download, client: Client): ReturnType<Downloads['download']> {
    const served = await allowed(request.of);
    const { type, disposition } = served;
    const method = request.head ? 'HEAD' : 'GET';
    if (local === null) return { redirect: ports.linkTo(served.key, { type, disposition, method }) };
    if (isKnown(request.ifNoneMatch, etagOf(served.key))) {
      post({ t: 'content', id: request.id, status: 304, headers: cacheHeaders(served), length: 0 });
      return null;
    }
    if (request.head) {
      if ((await local.storage.head(served.key)) === null) throw new Refusal('not_found');
      post({ t: 'content', id: request.id, status: 200, headers: headersOf(served), length: served.size });
      return null;
    }
    const isCurrent = request.ifRange === '' || request.ifRange === etagOf(served.key);
    const range = isCurrent ? parseRange(request.range, served.size) : null;
    if (range === 'unsatisfiable') return { unsatisfiable: served.size };
    await stream(local.storage, request, client, served, range);
    return null;
  }

  return {
    async download(request) {
      if (clients.size >= AT_ONCE_MAX) throw new Refusal('overloaded');
      // Known from the start: whoever leaves before the first byte must not be waited for.
      const client: Client = { credit: 0, inFlight: 0, gone: false, wake: () => undefined };
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
      if (client.inFlight > 0) client.inFlight--;
      client.wake();
    },
    cancel(id) {
      const ring = rings.get(id);
      rings.delete(id);
      const client = clients.get(id);
      // While the file is being read the ring may still be written to: then it is left to the collector.
      if (ring !== undefined && client === undefined && free.length < RINGS_KEPT_MAX) free.push(ring);
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

/** What is under a key never changes. */
function etagOf(key: string): string {
  return `"${key.slice(key.indexOf('/') + 1)}"`;
}
