import { connect, createServer, type Socket } from 'node:net';
import { must } from './deadline.js';

/** A bad network in front of a server. Bytes are late or lost with their connection, never changed, doubled or reordered. */
export interface TcpProxy {
  readonly url: string;
  /** Resets every connection, and what is left of those that one side has ended. */
  readonly cut: () => void;
  /** Every connection of now goes silent for ever, and stays open. */
  readonly stall: () => void;
  /** From now on each piece of data waits for this long, on old and new connections. */
  readonly delay: (ms: number) => void;
  /** Whether new connections are reset at once. */
  readonly refuse: (on: boolean) => void;
  readonly connections: () => number;
  readonly close: () => Promise<void>;
}

interface Pair {
  readonly sockets: readonly [Socket, Socket];
  stalled: boolean;
}

/** @param target asked at each connection: a restarted server has another port */
export async function startTcpProxy(target: () => number, host = '127.0.0.1'): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  const open = new Set<Socket>(); // also those whose other side has gone
  let delayMs = 0;
  let refusing = false;

  const forward = (pair: Pair, from: Socket, to: Socket): void => {
    let last = Promise.resolve();
    const inTurn = (run: () => void): void => {
      const due = Date.now() + delayMs;
      last = last.then(async () => {
        const wait = due - Date.now();
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        if (!pair.stalled) run();
      });
    };
    from.on('data', (bytes) => inTurn(() => void to.write(bytes)));
    from.on('end', () => inTurn(() => void to.end()));
    from.on('error', () => undefined);
    from.on('close', (failed) => {
      open.delete(from);
      pairs.delete(pair);
      if (pair.stalled) return;
      if (failed) to.destroy();
      else inTurn(() => void to.end()); // after what is still on its way
    });
  };
  const server = createServer((client) => {
    if (refusing) return void client.resetAndDestroy();
    const upstream = connect(target(), host);
    const pair: Pair = { sockets: [client, upstream], stalled: false };
    pairs.add(pair);
    for (const socket of pair.sockets) open.add(socket);
    forward(pair, client, upstream);
    forward(pair, upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = must(server.address());
  if (typeof address === 'string') throw new Error('not a TCP address');
  const cut = (): void => {
    for (const socket of open) socket.resetAndDestroy();
  };
  return {
    url: `http://127.0.0.1:${address.port}`,
    cut,
    stall: () => {
      for (const pair of pairs) pair.stalled = true;
    },
    delay: (ms) => {
      delayMs = ms;
    },
    refuse: (on) => {
      refusing = on;
    },
    connections: () => pairs.size,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
