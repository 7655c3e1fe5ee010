import { Encoding, encodeFrame, type ServerFrame } from '../protocol/frames.js';
import type { AttachmentViews } from '../rooms/attachment-view.js';
import { logEventFrame } from '../rooms/events.js';
import type { EventSink } from '../rooms/sequencer.js';
import type { Outbox } from './outbox.js';

/** Takes the sequencer's events to the front, encoded once per encoding that somebody listens in. */
export function eventSink(outbox: Outbox, linked: AttachmentViews['linked']): EventSink {
  const encoded = (encoding: Encoding, wanted: number, frame: ServerFrame) =>
    wanted > 0 ? outbox.bytes(encodeFrame(encoding, frame)) : null;
  return {
    publish(event, listeners) {
      if (listeners.json === 0 && listeners.msgpack === 0) return;
      const frame = linked(logEventFrame(event));
      const json = encoded(Encoding.json, listeners.json, frame);
      const msgpack = encoded(Encoding.msgpack, listeners.msgpack, frame);
      const created =
        event.type === 'new_message' ? { created_ms: Date.parse(event.message.created_at) } : {};
      outbox.post({ t: 'publish', room_id: event.room_id, rev: event.rev, ...created, json, msgpack });
    },
    resync: (room_id, rev) => outbox.post({ t: 'resync', room_id, rev }),
  };
}
