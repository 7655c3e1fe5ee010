import { connect, type Socket } from 'node:net';

/** The last bytes of an answer by which PostgreSQL says that it is done: ReadyForQuery, four bytes of length, state. */
const TLS_ACCEPTED = 0x53; // 'S', alone
const READY = Buffer.from([0x5a, 0, 0, 0, 5]);

/**
 * Makes connections that end by themselves when the other side has owed an answer for too long: a statement that hangs
 * in a network that drops everything would otherwise hold a shard's group commit until TCP gives up, after minutes.
 *
 *   idle ──something is written──► owed (since) ──"ready"──► idle
 *                                    │ └──any other answer──► owed (anew)
 *                                    └──silentMs──► destroyed: its statements fail as with a broken connection
 *
 * Over TLS what passes can't be read here: such a connection isn't watched, and TCP's own limits hold.
 */
export function watchedSockets(silentMs: number) {
  const watched = new Set<Watched>();
  let turn = 0;
  return (options: {
    readonly host: readonly string[];
    readonly port: readonly number[];
    readonly path?: unknown;
  }) => {
    const at = turn++ % Math.max(1, options.host.length);
    if (typeof options.path === 'string') return watch(connect(options.path), silentMs, watched);
    const where = { host: options.host[at] ?? 'localhost', port: options.port[at] ?? 5432 };
    // Where it leads to, as the driver notes it for TLS.
    return watch(Object.assign(connect(where), where), silentMs, watched);
  };
}

interface Watched {
  readonly socket: Socket;
  owedSince: number | null;
  heardAt: number;
}

function watch(socket: Socket, silentMs: number, watched: Set<Watched>): Socket {
  const mine: Watched = { socket, owedSince: null, heardAt: performance.now() };
  watched.add(mine);
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  socket.write = ((...args: unknown[]) => {
    mine.owedSince ??= performance.now();
    return write(...args);
  }) as Socket['write'];
  const unwatch = () => {
    clearInterval(timer);
    watched.delete(mine);
  };
  // Before the driver's own listener, which it adds anew after a change of protocol.
  socket.prependListener('data', (data: Buffer) => {
    if (data.length === 1 && data[0] === TLS_ACCEPTED) return unwatch();
    mine.heardAt = performance.now();
    mine.owedSince = data.subarray(-READY.length - 1, -1).equals(READY) ? null : mine.heardAt;
  });
  const timer = setInterval(() => {
    const { owedSince } = mine;
    if (owedSince === null || performance.now() - owedSince < silentMs) return;
    // The others that nothing has come over since have gone the same way, and would only be found one by one.
    for (const other of [...watched]) if (other.heardAt <= owedSince) giveUp(other.socket, silentMs);
  }, silentMs / 10);
  timer.unref();
  socket.once('close', unwatch);
  return socket;
}

function giveUp(socket: Socket, silentMs: number): void {
  socket.destroy(Object.assign(new Error(`no answer for ${silentMs} ms`), { code: 'ETIMEDOUT' }));
}
