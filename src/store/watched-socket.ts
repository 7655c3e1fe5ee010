import { connect, Socket } from 'node:net';
import { connectionError } from './connection-error.js';
import { beginTls, type TlsMode } from './database-tls.js';

/**
 * Makes connections that end by themselves when the other side has owed an answer for too long: a statement that hangs
 * in a network that drops everything would otherwise hold a shard's group commit until TCP gives up, after minutes.
 *
 *   idle ──something is written──► owed (since) ──the last of the answers──► idle
 *                                    │ └──any other answer──► owed (anew)
 *                                    └──silentMs──► destroyed: its statements fail as with a broken connection
 *
 * With TLS they are given to the driver once it has begun, so that what passes can be read here.
 */
export function watchedSockets(options: {
  readonly silentMs: number;
  readonly connectMs: number;
  readonly tls: TlsMode;
}) {
  const { silentMs, connectMs, tls } = options;
  const watched = new Set<Watched>();
  let turn = 0;
  return async (target: {
    readonly host: readonly string[];
    readonly port: readonly number[];
    readonly path?: unknown;
  }): Promise<Socket> => {
    const at = turn++ % Math.max(1, target.host.length);
    if (typeof target.path === 'string') return watch(connect(target.path), silentMs, watched);
    const where = { host: target.host[at] ?? 'localhost', port: target.port[at] ?? 5432 };
    const socket = connect(where);
    const begun =
      tls === 'disable' ? socket : await beginTls(socket, where.host, tls, connectMs).catch(broken);
    // Where it leads to, which the driver tells of in errors.
    return watch(Object.assign(begun, where), silentMs, watched);
  };
}

/** A socket that fails once it has been given to the driver, which would lose a connection that has none. */
function broken(error: Error): Socket {
  const socket = new Socket();
  setImmediate(() => socket.destroy(error));
  return socket;
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
  socket.on('data', (data: Buffer) => {
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
  socket.on('error', () => undefined); // before the driver listens; it hears of it as the socket closes
  return closingLate(socket);
}

const CLOSING_MS = 20; // so long a transaction may pause between two statements and still find its end
const CLOSING_ROUNDS = 5; // what keeps being given new statements isn't kept from being connected anew

/**
 * The driver fails what is under way on an error, and forgets the socket as it closes. What it writes after that (the
 * rollback of a transaction that failed, say) it throws over, out of anybody's reach, and the next connection's first
 * message it then keeps to itself (porsager/postgres#1208). So what is under way fails first, as does what is written
 * for a while yet, and then the driver hears of the close: once nothing was written for long enough, or after five times
 * as long. Its `cancel` would take the error for a failure.
 */
function closingLate(socket: Socket): Socket {
  const emit = socket.emit.bind(socket) as (...event: unknown[]) => boolean;
  const fail = () => void emit('error', connectionError('the connection is broken', 'CONNECTION_CLOSED'));
  let hadError = false;
  let written = false;

  /** The driver's writes go out at the end of a turn of the event loop: looked at at the beginning of the next. */
  function close(rounds: number): void {
    written = false;
    const look = () => {
      fail();
      if (written && rounds > 1) close(rounds - 1);
      else emit('close', hadError);
    };
    setTimeout(() => setImmediate(() => setTimeout(look)), CLOSING_MS);
  }
  socket.emit = (...event: unknown[]) => {
    if (event[0] === 'error') hadError = true;
    if (event[0] !== 'close') return emit(...event);
    socket.write = () => {
      written = true;
      process.nextTick(fail);
      return true;
    };
    fail();
    close(CLOSING_ROUNDS);
    return true;
  };
  return socket;
}

function giveUp(socket: Socket, silentMs: number): void {
  socket.destroy(connectionError(`no answer for ${silentMs} ms`, 'ETIMEDOUT'));
}

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
