import type { Mutation } from '../ipc/messages.js';
import type { LogEvent } from '../rooms/events.js';
import type { MessageLog } from '../rooms/ports.js';
import type { EventSink } from '../rooms/sequencer.js';
import type { Outbox } from './outbox.js';

/**
 * Makes a shard break a promise on purpose, so that a test can show that the checker of histories notices. Only where
 * PARLEY_TEST_FAULTS allows it; otherwise nothing of it is in the way of a message.
 */
const EVERY = 20; // of so many events one is spoilt
const LATE_COMMIT_MS = 300;

export interface Mutations {
  set(mutation: Mutation): void;
  sink(sink: EventSink): EventSink;
  log(log: MessageLog): MessageLog;
  outbox(outbox: Outbox): Outbox;
}

export function createMutations(): Mutations {
  let current: Mutation | null = null;
  let count = 0;
  let held: (() => void) | null = null;
  const isDue = () => ++count % EVERY === 0;

  return {
    set(mutation) {
      current = mutation;
    },
    sink: (sink) => ({
      ...sink,
      publish(event: LogEvent, listeners) {
        const publish = () => sink.publish(event, listeners);
        if (current === 'drop_event' && isDue()) return;
        if (current === 'repeat_event' && isDue()) publish();
        if (current === 'swap_events' && held === null && isDue()) {
          held = publish;
          return;
        }
        publish();
        held?.();
        held = null;
      },
    }),
    outbox: (outbox) => ({
      ...outbox,
      post(message) {
        const ends = message.t === 'revoke' || message.t === 'standings_changed';
        if (current !== 'keep_revoked' || !ends) outbox.post(message);
      },
    }),
    log: (log) => ({
      ...log,
      async insert(messages, created_at) {
        if (current !== 'ack_before_commit') return log.insert(messages, created_at);
        const heads = await log.heads([...new Set(messages.map(({ room_id }) => room_id))]);
        setTimeout(() => void log.insert(messages, created_at).catch(() => undefined), LATE_COMMIT_MS);
        return new Map(
          heads.map(({ room_id, head_seq, head_rev }) => [room_id, { seq: head_seq, rev: head_rev }]),
        );
      },
    }),
  };
}
