import { connect, type Socket } from 'node:net';

/** The first answer over TLS, alone. */
const TLS_ACCEPTED = 'S'.charCodeAt(0);

/**
 * Makes connections that end by themselves when the other side has owed an answer for too long: a statement that hangs
 * in a network that drops everything would otherwise hold a shard's group commit until TCP gives up, after minutes.
 *
 *   idle ──something is written──► owed (since) ──the last of the answers──► idle
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
  const owed = owedAnswers();
  watched.add(mine);
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  socket.write = ((...args: unknown[]) => {
    owed.asked(args[0] as Buffer);
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
    owed.answered(data);
    mine.owedSince = owed.any() ? mine.heardAt : null;
  });
  const timer = setInterval(() => {
    const { owedSince } = mine;
    if (owedSince === null || performance.now() - owedSince < silentMs) return;
    // The others that nothing has come over since have gone the same way, and would only be found one by one.
    for (const other of [...watched]) if (other.heardAt <= owedSince) giveUp(other.socket, silentMs);
  }, silentMs / 10);
  timer.unref();
  socket.once('close', unwatch);
  return closingLate(socket);
}

const CLOSING_MS = 20; // a transaction that is between two statements has come to its end by then

/**
 * The driver fails what is under way on an error, and forgets the socket as it closes. What it writes after that (the
 * rollback of a transaction that failed, say) it throws over, out of anybody's reach, and the next connection's first
 * message it then keeps to itself (porsager/postgres#1208). So what is under way fails first, as does what is written
 * for a while yet, and then the driver hears of the close.
 */
function closingLate(socket: Socket): Socket {
  const emit = socket.emit.bind(socket) as (...event: unknown[]) => boolean;
  const fail = () => void emit('error', connectionError('the connection is broken', 'CONNECTION_CLOSED'));
  socket.emit = (...event: unknown[]) => {
    if (event[0] !== 'close') return emit(...event);
    socket.write = () => {
      process.nextTick(fail);
      return true;
    };
    fail();
    setTimeout(() => {
      fail();
      emit(...event);
    }, CLOSING_MS);
    return true;
  };
  return socket;
}

function giveUp(socket: Socket, silentMs: number): void {
  socket.destroy(connectionError(`no answer for ${silentMs} ms`, 'ETIMEDOUT'));
}

const connectionError = (message: string, code: string) => Object.assign(new Error(message), { code });

/** The kinds of messages that count, by the byte they begin with (PostgreSQL's documentation, "Message Formats"). */
const [QUERY, SYNC, DESCRIBE] = ['Q', 'S', 'D'].map((kind) => kind.charCodeAt(0));
const [READY, PARAMETERS] = ['Z', 't'].map((kind) => kind.charCodeAt(0));

/**
 * Which answers are still to come over a connection on which statements follow one another without waiting: a
 * ReadyForQuery for the start and for each Sync or Query; for each Describe its parameters, unless it fails.
 */
export function owedAnswers() {
  const owed: (typeof READY | typeof PARAMETERS)[] = [];
  const answers = messageKinds();
  let isGreeted = false;
  return {
    /** What is written: whole messages, as the driver hands them over. */
    asked(data: Buffer): void {
      // The first ones have no kind, and what answers a password is the start's own answer.
      if (!isGreeted) owed.splice(0, owed.length, READY);
      else
        for (const kind of messageKinds()(data)) {
          if (kind === SYNC || kind === QUERY) owed.push(READY);
          else if (kind === DESCRIBE) owed.push(PARAMETERS);
        }
    },
    /** What is read, cut anywhere. */
    answered(data: Buffer): void {
      if (!isGreeted && data.length === 1) return; // TLS refused: the start follows in the clear
      isGreeted = true;
      for (const kind of answers(data)) {
        if (kind === READY) owed.splice(0, owed.indexOf(READY) + 1);
        else if (kind === PARAMETERS && owed[0] === PARAMETERS) owed.shift();
      }
    },
    any: () => owed.length > 0,
  };
}

/** Gives the kinds of the messages that begin in each part of a stream. */
function messageKinds(): (data: Buffer) => number[] {
  let head = Buffer.alloc(0); // of a message whose length isn't known yet
  let skip = 0; // of a message whose length is
  return (data) => {
    const kinds: number[] = [];
    const all = head.length === 0 ? data : Buffer.concat([head, data]);
    let at = skip;
    for (; at + 5 <= all.length; at += 1 + all.readUInt32BE(at + 1)) kinds.push(all[at] ?? 0);
    head = at < all.length ? Buffer.from(all.subarray(at)) : Buffer.alloc(0);
    skip = Math.max(0, at - all.length);
    return kinds;
  };
}
