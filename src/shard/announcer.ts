import type { Fact } from '../protocol/facts.js';
import { Encoding, encodeFrame, type ServerFrame } from '../protocol/frames.js';
import type { RoomId, UserId } from '../protocol/ids.js';
import type { Announcer } from '../rooms/ports.js';
import type { Outbox } from './outbox.js';
import type { Signal, Signals } from './signals.js';

/** What an event adds to a room's members. */
const MEMBERS_BY: ReadonlyMap<string, 1 | -1> = new Map([
  ['member_joined', 1],
  ['member_left', -1],
]);

type Forget = (room_id: RoomId, user_id: UserId | null) => void;

/** An {@link Announcer} for all that is told outside of the log. */
export interface NodeAnnouncer extends Announcer {
  /** Does it here and tells the other nodes. */
  announce(signal: Signal): void;
  /** Another node has told: does it here. */
  hear(signal: Signal): void;
}

/**
 * Events outside of the log: to this process' sockets, and by signals to those of other nodes. What a shard forgets or
 * cancels is its own; where a request about several rooms ran elsewhere, the watch over the database reaches theirs.
 */
export function createAnnouncer(deps: {
  readonly outbox: Outbox;
  /** The room's listeners where the shard owns it; null: not known here. */
  readonly listeners: (room_id: RoomId) => Readonly<Record<Encoding, number>> | null;
  readonly forget: Forget;
  readonly cancelJoins: (room_id: RoomId, user_id: UserId | null, before_ms: number) => void;
  readonly forgetUser: (user_id: UserId) => void;
  readonly signals: () => Signals;
}): NodeAnnouncer {
  const { outbox } = deps;
  const bytes = (encoding: Encoding, frame: ServerFrame) => outbox.bytes(encodeFrame(encoding, frame));

  function apply(signal: Signal): void {
    switch (signal[0]) {
      case 'room': {
        const [, room_id, type, payload, timestamp, fact] = signal;
        const listeners = deps.listeners(room_id) ?? { json: 1, msgpack: 1 };
        const frame = { type, room_id, payload, timestamp };
        const json = listeners.json > 0 ? bytes(Encoding.json, frame) : null;
        const msgpack = listeners.msgpack > 0 ? bytes(Encoding.msgpack, frame) : null;
        const members = MEMBERS_BY.get(type);
        if (json === null && msgpack === null && members === undefined) return;
        outbox.post({
          t: 'publish',
          room_id,
          rev: null,
          json,
          msgpack,
          ...(members === undefined ? {} : { members }),
          ...(fact === undefined ? {} : { fact }),
        });
        return;
      }
      case 'user': {
        const [, user_id, room_id, type, payload, timestamp, fact] = signal;
        const frame = { type, room_id, payload, timestamp };
        const json = bytes(Encoding.json, frame);
        const msgpack = bytes(Encoding.msgpack, frame);
        outbox.post({ t: 'to_user', user_id, json, msgpack, ...(fact === undefined ? {} : { fact }) });
        return;
      }
      case 'standing':
        return deps.forget(signal[1], signal[2]);
      case 'revoke': {
        const [, room_id, user_id, before_ms] = signal;
        deps.forget(room_id, user_id);
        deps.cancelJoins(room_id, user_id, before_ms);
        outbox.post({ t: 'revoke', room_id, user_id, before_ms });
        return;
      }
      case 'account':
        deps.forgetUser(signal[1]);
        return outbox.post({ t: 'notice', notice: { kind: 'user_changed', user_id: signal[1] } });
      case 'renamed':
        return outbox.post({ t: 'renamed', user_id: signal[1], username: signal[2] });
      case 'status':
        return outbox.post({ t: 'status_chosen', user_id: signal[1], status: signal[2] });
      case 'ended':
        return outbox.post({ t: 'sessions_ended', ended: signal[2], watched: false });
      default:
        return signal satisfies never;
    }
  }

  function announce(signal: Signal): void {
    apply(signal);
    deps.signals().tell(signal);
  }

  return {
    toRoom: (room_id, type, payload, fact) =>
      announce(['room', room_id, type, payload, Date.now(), ...given(fact)]),
    toUser: (user_id, room_id, type, payload, fact) =>
      announce(['user', user_id, room_id, type, payload, Date.now(), ...given(fact)]),
    revoke: (room_id, user_id, before_ms = Number.POSITIVE_INFINITY) =>
      announce(['revoke', room_id, user_id, before_ms]),
    standingChanged: (room_id, user_id) => announce(['standing', room_id, user_id]),
    hear: apply,
    announce,
  };
}

/** Absent rather than undefined, which would take bytes of every signal. */
function given(fact: Fact | undefined): readonly [] | readonly [Fact] {
  return fact === undefined ? [] : [fact];
}
