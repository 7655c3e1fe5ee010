import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy that a test can cut without a word: what is sent meanwhile is swallowed, and nothing is closed. */
export interface CuttableLink {
  readonly port: number;
  /** From now on nothing passes; connections stay open, new ones are taken and lead nowhere. */
  readonly cut: () => void;
  /** The same, once something that ends with these bytes has passed towards the target. */
  readonly cutAfter: (end: Buffer) => void;
  /** New connections pass again. Those that were cut stay dead, as after a change of routes. */
  readonly heal: () => void;
  readonly close: () => void;
}

export async function startLink(target: { host: string; port: number }): Promise<CuttableLink> {
  const sockets = new Set<Socket>();
  let isCut = false;
  let lastWords: Buffer | null = null;
  const dead = new WeakSet<Socket>();
  const kept = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };
  const cut = (): void => {
    isCut = true;
    for (const socket of sockets) dead.add(socket);
  };
  const server = createServer((client) => {
    kept(client);
    if (isCut) {
      dead.add(client);
      client.resume();
      return;
    }
    const upstream = kept(connect(target));
    const pass = (from: Socket, to: Socket) => {
      from.on('data', (data) => {
        if (dead.has(from)) return;
        to.write(data);
        if (from === client && lastWords !== null && data.subarray(-lastWords.length).equals(lastWords))
          cut();
      });
      from.on('close', () => {
        if (!dead.has(from)) to.destroy();
      });
    };
    pass(client, upstream);
    pass(upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    cut,
    cutAfter: (end) => {
      lastWords = end;
    },
    heal: () => {
      isCut = false;
      lastWords = null;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
