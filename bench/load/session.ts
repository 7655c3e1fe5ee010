/**
 * One client socket through a run.
 *
 *   CONNECTING ── 101 ──► GREETING ── welcome ──► JOINING ── every room joined ──► LIVE ── stop() ──► STOPPED
 *
 * An error, a close or a refusal before LIVE makes the set-up fail; after it they are faults. In LIVE, a `resync` is answered
 * with `sync` until nothing is missing.
 */
import type { Checker, RoomLedger, Stream } from './checker.js';
import { messageKey, uuidTail, uuidWorker } from './frame-layout.js';
import {
  asList,
  asMembers,
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
import type { LoaderRoom, LoaderSocket } from './messages.js';
import { openWebSocket, type WsClient, type WsTarget } from './ws-client.js';
import { OPCODE } from './ws-frames.js';

/** Most messages that one `sync` may ask for (PROTOCOL.md §3). */
const SYNC_LIMIT = 500;

/** What a loader's sessions share. */
export interface SessionHost {
  readonly target: WsTarget;
  readonly rooms: readonly LoaderRoom[];
  readonly checker: Checker;
  readonly receiverCounts: ReceiverCounts;
  readonly counts: {
    resyncs: number;
    errorCodes: Record<string, number>;
    otherFrames: Record<string, number>;
  };
  /** The ledger of a room, by its index in `rooms`. */
  ledgerOf(room: number): RoomLedger;
  /** A delivery, already checked. */
  delivered(frame: ScannedFrame): void;
  acked(frame: ScannedFrame): void;
  /** A message was refused by an `error` frame. */
  refused(number: number, code: string): void;
}

export interface Session {
  readonly index: number;
  readonly encoding: Encoding;
  readonly streams: ReadonlyMap<number, { readonly room: number; readonly stream: Stream }>;
  send(frame: string | Uint8Array): void;
  stop(): void;
}

function bump(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** Opens a socket and joins its rooms. Rejects with a sentence if that fails. */
export function openSession(host: SessionHost, plan: LoaderSocket): Promise<Session> {
  return new Promise((resolve, reject) => {
    const { checker } = host;
    const streams = new Map<number, { room: number; stream: Stream }>();
    const opcode = plan.encoding === 'json' ? OPCODE.text : OPCODE.binary;
    let live = false;

    const client: WsClient = openWebSocket(
      host.target,
      plan.encoding === 'json' ? 'parley.json' : 'parley.msgpack',
      plan.token,
      plan.localAddress,
      { open: () => undefined, message: receive, closed },
    );

    const session: Session = {
      index: plan.index,
      encoding: plan.encoding,
      streams,
      send: (frame) => client.send(opcode, frame),
      stop: () => client.closeNow(),
    };

    function send(frame: Members): void {
      client.send(opcode, encodeFrame(plan.encoding, frame));
    }

    function fail(reason: string): void {
      client.closeNow();
      reject(new Error(`socket ${plan.index}: ${reason}`));
    }

    function closed(code: number | undefined, reason: string): void {
      const what = `${code ?? 'no close frame'} ${reason}`;
      if (live) checker.faults.add('unexpected_close', () => `socket ${plan.index}: ${what}`);
      else fail(`closed: ${what}`);
    }

    const unhandled = (what: string) =>
      checker.faults.add('unhandled_frame', () => `socket ${plan.index}: ${what.slice(0, 300)}`);

    const accept = createFrameReceiver(plan.encoding, host.receiverCounts, checker.faults, {
      traffic,
      other,
      unhandled,
    });
    function receive(bytes: Buffer, start: number, end: number): void {
      accept(bytes, start, end);
    }

    function traffic(frame: ScannedFrame): void {
      if (frame.kind === 'message_ack') {
        host.acked(frame);
        return;
      }
      const joined = streams.get(frame.roomTail);
      if (joined === undefined) {
        unhandled('a delivery from a room that was not joined');
        return;
      }
      checker.delivered(joined.stream, frame.seqNo, frame.rev, messageKey(frame.idWorker, frame.idTail));
      host.delivered(frame);
    }

    function joinRooms(): void {
      for (const index of plan.rooms) {
        const room = host.rooms[index];
        if (room !== undefined)
          send({ type: 'join_room', room_id: room.id, ref: index, payload: { since: room.headRev } });
      }
    }

    function joined(frame: ParsedFrame): void {
      const room = plan.rooms.find((index) => index === frame.ref);
      const headSeq = asNumber(frame.payload.head_seq);
      const headRev = asNumber(frame.payload.head_rev);
      if (room === undefined || headSeq === undefined || headRev === undefined) {
        fail(`a \`joined\` without ref or heads: ${JSON.stringify(frame)}`);
        return;
      }
      const ledger = host.ledgerOf(room);
      streams.set(idTailOf(ledger.roomId), {
        room,
        stream: checker.openStream(plan.index, ledger, headSeq, headRev),
      });
      if (streams.size === plan.rooms.length) {
        live = true;
        resolve(session);
      }
    }

    function askSync(stream: Stream, since: number): void {
      send({ type: 'sync', room_id: stream.ledger.roomId, payload: { since, limit: SYNC_LIMIT } });
    }

    function resync(frame: ParsedFrame): void {
      host.counts.resyncs += 1;
      for (const entry of asList(frame.payload.rooms)) {
        const stream = streams.get(idTailOf(asString(asMembers(entry).room_id)))?.stream;
        if (stream === undefined) continue;
        stream.healing += 1;
        askSync(stream, checker.contiguousRev(stream));
      }
    }

    function synced(frame: ParsedFrame): void {
      const stream = streams.get(idTailOf(frame.roomId ?? asString(frame.payload.room_id)))?.stream;
      if (stream === undefined) {
        unhandled('a `synced` for a room that was not joined');
        return;
      }
      for (const entry of asList(frame.payload.messages)) {
        const message = asMembers(entry);
        const id = Buffer.from(asString(message.id) ?? '', 'latin1');
        const key = messageKey(uuidWorker(id, 0), uuidTail(id, 0));
        checker.synced(stream, asNumber(message.seq_no) ?? -1, asNumber(message.rev) ?? -1, key);
      }
      const next = asNumber(frame.payload.next_since);
      if (frame.payload.more === true && next !== undefined) {
        checker.syncCovered(stream, next);
        askSync(stream, next);
        return;
      }
      checker.syncCovered(stream, asNumber(frame.payload.head_rev) ?? 0);
      stream.healing -= 1;
    }

    function refusal(frame: ParsedFrame): void {
      const code = asString(frame.payload.code) ?? 'unknown';
      bump(host.counts.errorCodes, code);
      const number = numberOfRef(frame.ref);
      if (number !== undefined) host.refused(number, code);
      else if (!live) fail(`refused: ${JSON.stringify(frame.payload)}`);
      else checker.faults.add('error_frame', () => `socket ${plan.index}: ${JSON.stringify(frame.payload)}`);
    }

    function other(frame: ParsedFrame): void {
      bump(host.counts.otherFrames, frame.type);
      switch (frame.type) {
        case 'welcome':
          joinRooms();
          break;
        case 'joined':
          joined(frame);
          break;
        case 'resync':
          resync(frame);
          break;
        case 'synced':
          synced(frame);
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
  });
}
