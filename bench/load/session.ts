/**
 * One client socket through a run, over as many connections as it takes.
 *
 *   CONNECTING ── 101 ──► GREETING ── welcome ──► JOINING ── every room joined ──► LIVE ── stop() ──► STOPPED
 *       ▲                                          RESUMING ── whole again ────────►│
 *       └─────────────────── after a pause ◄──── AWAY ◄──── cut(), or closed where that may be ──┘
 *
 * An error, a close or a refusal before the first LIVE makes the set-up fail. After it a close is a fault, unless the run cuts
 * sockets or stops readers: then the socket comes back, resumes, and sends again (same ids) what was not acknowledged.
 */
import { clockMicros } from './clock.js';
import type { Dialect } from './dialect.js';
import { messageKey } from './frame-layout.js';
import {
  asNumber,
  asString,
  type Encoding,
  encodeFrame,
  idTailOf,
  type Members,
  numberOfRef,
  type ParsedFrame,
} from './frame-read.js';
import { createFrameReceiver, type ReceiverCounts } from './frame-receive.js';
import type { ScannedFrame } from './frame-scan.js';
import type { LoaderSocket } from './messages.js';
import { createFollower, type FollowedRoom, type FollowerHost } from './room-follower.js';
import { openWebSocket, type WsClient, type WsTarget } from './ws-client.js';
import { OPCODE } from './ws-frames.js';

/** What a loader's sessions share. */
export interface SessionHost extends FollowerHost {
  readonly targets: readonly WsTarget[];
  readonly dialect: Dialect;
  readonly receiverCounts: ReceiverCounts;
  /** Connections may be lost: sockets come back. */
  readonly comesBack: boolean;
  readonly counts: {
    reconnects: number;
    failedReconnects: number;
    refusedResumes: number;
    errorCodes: Record<string, number>;
    otherFrames: Record<string, number>;
  };
  /** A delivery, already checked. */
  delivered(frame: ScannedFrame, slow: boolean): void;
  acked(frame: ScannedFrame): void;
  /** A message was refused by an `error` frame. */
  refused(number: number, code: string): void;
  /** A socket is whole again, `micros` after it began to come back. */
  resumed(micros: number): void;
}

export interface Session {
  readonly index: number;
  readonly encoding: Encoding;
  readonly isSlow: boolean;
  readonly streams: ReadonlyMap<number, FollowedRoom>;
  isLive(): boolean;
  /** Sends message `number`; while the socket is away, that waits for its return. */
  send(number: number, frame: string | Uint8Array): void;
  /** Drops the connection; the socket comes back after a pause. */
  cut(pauseMs: number): void;
  setReading(reading: boolean): void;
  stop(): void;
}

/** Between attempts to come back: as long as the protocol lets a client wait at least, spread so that attempts don't bunch. */
const RETRY_MIN_MS = 100;
const RETRY_SPREAD_MS = 900;

function bump(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** Opens a socket and joins its rooms. Rejects with a sentence if that fails. */
export function openSession(host: SessionHost, plan: LoaderSocket): Promise<Session> {
  return new Promise((resolve, reject) => {
    const { checker, dialect } = host;
    const opcode = plan.encoding === 'json' ? OPCODE.text : OPCODE.binary;
    const unanswered = new Map<number, string | Uint8Array>();
    const follower = createFollower(host, plan.index, plan.rooms, send);
    const { streams } = follower;
    let client: WsClient;
    let askingAgain: WsClient | undefined;
    let wasLive = false;
    let isLive = false;
    let isStopped = false;
    let backSince = 0;

    const session: Session = {
      index: plan.index,
      encoding: plan.encoding,
      isSlow: plan.slow,
      streams,
      isLive: () => isLive,
      send(number, frame) {
        if (host.comesBack) unanswered.set(number, frame);
        if (isLive) client.send(opcode, frame);
      },
      cut(pauseMs) {
        client.cut();
        comeBack(pauseMs);
      },
      setReading: (reading) => client.setReading(reading),
      stop() {
        isStopped = true;
        client.closeNow();
      },
    };

    function send(frame: Members): void {
      client.send(
        opcode,
        plan.encoding === 'json' ? dialect.control(frame) : encodeFrame(plan.encoding, frame),
      );
    }

    function connect(): void {
      const target = host.targets[plan.target];
      if (target === undefined) throw new RangeError(`no server ${plan.target}`);
      const subprotocol = dialect.subprotocol(plan.encoding);
      client = openWebSocket(target, subprotocol, plan.token, plan.localAddress, {
        open: () => {
          for (const text of dialect.opening(plan.token)) client.send(OPCODE.text, text);
        },
        message: receive,
        closed,
      });
    }

    function comeBack(pauseMs: number): void {
      isLive = false;
      setTimeout(() => {
        if (isStopped) return;
        if (backSince === 0) backSince = clockMicros();
        host.counts.reconnects += 1;
        connect();
      }, pauseMs);
    }

    function fail(reason: string): void {
      client.closeNow();
      reject(new Error(`socket ${plan.index}: ${reason}`));
    }

    function closed(code: number | undefined, reason: string): void {
      const what = `${code ?? 'no close frame'} ${reason}`;
      if (wasLive && host.comesBack) {
        if (!isLive) host.counts.failedReconnects += 1;
        comeBack(RETRY_MIN_MS + Math.random() * RETRY_SPREAD_MS);
      } else if (wasLive) checker.faults.add('unexpected_close', () => `socket ${plan.index}: ${what}`);
      else fail(`closed: ${what}`);
    }

    const unhandled = (what: string) =>
      checker.faults.add('unhandled_frame', () => `socket ${plan.index}: ${what.slice(0, 300)}`);

    const accept = createFrameReceiver(dialect.reader(plan.encoding), host.receiverCounts, checker.faults, {
      traffic,
      other,
      unhandled,
    });

    function receive(bytes: Buffer, start: number, end: number): void {
      for (let at = start; at < end; ) {
        const piece = dialect.unwrap(bytes, at, end, plan.token);
        at = piece.next;
        if (piece.kind === 'frame') accept(bytes, piece.start, piece.end);
        else if (piece.reply !== undefined) client.send(OPCODE.text, piece.reply);
        else if (piece.kind === 'refused') unhandled(bytes.toString('latin1', start, end));
      }
    }

    function traffic(frame: ScannedFrame): void {
      if (frame.kind === 'message_ack') {
        unanswered.delete(frame.idTail);
        host.acked(frame);
        return;
      }
      const joined = streams.get(frame.roomTail);
      if (joined === undefined) {
        unhandled('a delivery from a room that was not joined');
        return;
      }
      checker.delivered(joined.stream, frame.seqNo, frame.rev, messageKey(frame.idWorker, frame.idTail));
      host.delivered(frame, plan.slow);
    }

    function goLiveOnceWhole(): void {
      if (isLive || !follower.isWhole()) return;
      isLive = true;
      if (wasLive) {
        host.resumed(clockMicros() - backSince);
        backSince = 0;
        for (const frame of unanswered.values()) client.send(opcode, frame);
      } else {
        wasLive = true;
        resolve(session);
      }
    }

    function followed(frame: ParsedFrame): void {
      const problem = follower.read(frame);
      if (problem === undefined) goLiveOnceWhole();
      else if (wasLive) unhandled(problem);
      else fail(problem);
    }

    function refusal(frame: ParsedFrame): void {
      const code = asString(frame.payload.code) ?? 'unknown';
      bump(host.counts.errorCodes, code);
      const number = numberOfRef(frame.ref);
      if (number !== undefined) {
        unanswered.delete(number);
        host.refused(number, code);
      } else if (!wasLive) fail(`refused: ${JSON.stringify(frame.payload)}`);
      else if (!isLive && host.comesBack) resumeAgain(asNumber(frame.payload.retry_after_ms) ?? RETRY_MIN_MS);
      else checker.faults.add('error_frame', () => `socket ${plan.index}: ${JSON.stringify(frame.payload)}`);
    }

    /** A resume was refused: asks again, on the same connection, for what has no answer yet; not earlier than the server says. */
    function resumeAgain(notBeforeMs: number): void {
      if (client === askingAgain) return;
      askingAgain = client;
      host.counts.refusedResumes += 1;
      const refused = client;
      setTimeout(
        () => {
          if (client !== refused) return;
          askingAgain = undefined;
          if (!isLive && !isStopped) follower.resume(true);
        },
        notBeforeMs + Math.random() * RETRY_SPREAD_MS,
      );
    }

    function other(frame: ParsedFrame): void {
      bump(host.counts.otherFrames, frame.type);
      switch (frame.type) {
        case 'welcome':
          if (wasLive) follower.resume(false);
          else follower.join();
          break;
        case 'joined':
        case 'resumed':
        case 'resync':
        case 'synced':
          followed(frame);
          break;
        case 'error':
          refusal(frame);
          break;
        default:
          roomEvent(frame);
      }
    }

    /** Presence, typing and the like carry no rev and are only counted. */
    function roomEvent(frame: ParsedFrame): void {
      const stream = streams.get(idTailOf(frame.roomId))?.stream;
      if (frame.rev !== undefined && stream !== undefined) checker.changed(stream, frame.rev);
    }

    connect();
  });
}
