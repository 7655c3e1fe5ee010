import { dialectOf } from './dialects.js';
import { contentPrefix, messageIdWriter, REF_BASE } from './frame-layout.js';
import { encodeFrame } from './frame-read.js';
import type { LoaderPlan } from './messages.js';
import { filler, seededRandom } from './random.js';
import type { Session } from './session.js';

/** One sender with the rooms it sends to in turn. */
interface Sender {
  readonly session: Session;
  readonly rooms: readonly { readonly index: number; readonly id: string }[];
}

/** With more senders in a row away than this, the message waits with the one whose turn it was. */
const MAX_SKIPPED = 16;

function sendersOf(plan: LoaderPlan, sessions: readonly Session[]): Sender[] {
  const byIndex = new Map(sessions.map((session) => [session.index, session]));
  return plan.senders.flatMap((index) => {
    const session = byIndex.get(index);
    if (session === undefined) return [];
    const rooms = [...session.streams.values()].map(({ room, stream }) => ({
      index: room,
      id: stream.ledger.roomId,
    }));
    return [{ session, rooms }];
  });
}

/**
 * Makes the function that writes message `number`, due at `dueMicros`, to the sender whose turn it is.
 * It returns the room's index in the plan. JSON is put together from strings, as every part is plain ASCII.
 */
export function createMessageWriter(
  plan: LoaderPlan,
  sessions: readonly Session[],
): (number: number, dueMicros: number) => number {
  const senders = sendersOf(plan, sessions);
  const dialect = dialectOf(plan.dialect);
  const idOf = messageIdWriter(plan.loader, plan.salt);
  const text = filler(plan.payloadBytes - contentPrefix(0).length, seededRandom(plan.seed));

  /** Somebody whose connection was cut sends nothing meanwhile; the next one does instead, so that the rate is kept. */
  function whoseTurn(number: number): Sender {
    for (let skipped = 0; skipped < MAX_SKIPPED; skipped += 1) {
      const sender = senders[(number + skipped) % senders.length] as Sender;
      if (sender.session.isLive()) return sender;
    }
    return senders[number % senders.length] as Sender;
  }

  return (number, dueMicros) => {
    const sender = whoseTurn(number);
    const turn = Math.floor(number / senders.length);
    const room = sender.rooms[turn % sender.rooms.length] as Sender['rooms'][number];
    const id = idOf(number, Date.now());
    const content = contentPrefix(dueMicros) + text;
    const ref = REF_BASE + number;
    if (sender.session.encoding === 'json') {
      sender.session.send(number, dialect.message({ roomId: room.id, number, ref, id, content }));
    } else {
      sender.session.send(
        number,
        encodeFrame('msgpack', { type: 'send_message', room_id: room.id, ref, payload: { id, content } }),
      );
    }
    return room.index;
  };
}
