import type { Outgoing } from './outbox.js';
import type { RoomStream } from './room-stream.js';

/** What a room shows below its messages: a message stays here until it stands among them, so that it never blinks. */
export interface OutboxView {
  readonly pending: () => readonly Outgoing[];
  readonly changed: (outgoing: Outgoing) => void;
}

const ACKED_MAX = 100; // acknowledged before their event came; events are ahead of acks but for faults

export function createOutboxView(stream: RoomStream, unsent: () => Outgoing[]): OutboxView {
  let acked: Outgoing[] = [];

  return {
    pending() {
      const rev = stream.log.rev();
      const joined = stream.state() !== 'apart' && rev !== null;
      acked = joined ? acked.filter(({ ack }) => ack !== null && ack.rev > rev) : [];
      return [...acked, ...unsent()].filter(({ id }) => stream.timeline.get(id) === undefined);
    },
    changed(outgoing) {
      if (outgoing.state === 'sent') acked = [...acked, outgoing].slice(-ACKED_MAX);
      stream.emitter.emit('change', undefined);
    },
  };
}
