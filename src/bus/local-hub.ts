import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Kind } from './handlers.js';
import { type HubFrame, hubFrame, hubFrameReader } from './hub-frames.js';
import { hubCounts } from './hub-limits.js';

const BACKLOG_MAX_BYTES = 32 * 1024 * 1024; // for one process that reads too slowly; what comes then is lost to it

export interface LocalHub {
  /** Of the socket that processes connect to. */
  readonly path: string;
  close(): void;
}

interface Client {
  readonly socket: Socket;
  node: string;
  readonly wants: Record<Kind, Set<number>>;
}

/**
 * Carries entries and signals between the processes of one machine over a UNIX socket, where there is no Redis, and
 * counts for their limits.
 */
export async function startHub(): Promise<LocalHub> {
  const clients = new Set<Client>();
  const counted = hubCounts();
  // Below the system's directory for such things: a socket's path may have some 100 bytes only.
  const directory = mkdtempSync(join(tmpdir(), 'parley-hub-'));
  const path = join(directory, 'hub.sock');

  function take(client: Client, frame: HubFrame): void {
    const { type, partition, bytes } = frame;
    if (type === 'take') client.socket.write(counted(frame));
    else if (type === 'hello') client.node = Buffer.from(bytes).toString();
    else if (type === 'subscribe-event' || type === 'subscribe-signal') {
      client.wants[type === 'subscribe-event' ? 'event' : 'signal'].add(partition);
      client.socket.write(hubFrame('subscribed', partition));
    } else if (type === 'event' || type === 'signal') {
      const copy = hubFrame(type, partition, bytes);
      for (const other of clients) {
        if (other.node === client.node || !other.wants[type].has(partition)) continue;
        if (other.socket.writableLength < BACKLOG_MAX_BYTES) other.socket.write(copy);
      }
    }
  }

  const server = createServer((socket) => {
    const client: Client = { socket, node: '', wants: { event: new Set(), signal: new Set() } };
    clients.add(client);
    socket.on(
      'data',
      hubFrameReader((frame) => take(client, frame)),
    );
    socket.on('error', () => socket.destroy());
    socket.on('close', () => clients.delete(client));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    path,
    close() {
      server.close();
      for (const { socket } of clients) socket.destroy();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
