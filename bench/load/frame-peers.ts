/** What the readings of other servers' protocols (dialect-centrifugo.ts, dialect-tinode.ts) share: Parley's frames as they come out. */
import { sentAt, uuidTail, uuidWorker } from './frame-layout.js';
import type { Members, ParsedFrame } from './frame-read.js';
import { type ScannedFrame, SENDER_ITSELF } from './frame-scan.js';

export const UUID_LENGTH = 36;

/** Fills `out` with the ack of the loader's message of this number. @param seqNo both its numbers, or UNNUMBERED. */
export function fillAck(out: ScannedFrame, number: number, seqNo: number): void {
  out.kind = 'message_ack';
  out.roomTail = -1;
  out.rev = seqNo;
  out.seqNo = seqNo;
  out.idWorker = SENDER_ITSELF;
  out.idTail = number;
  out.sentAtMicros = -1;
}

/**
 * Fills `out` with a delivery.
 * @param id where the message's id begins in `bytes[0, end)`; `content`, where its text does
 * @returns false where one of its fields can't be read.
 */
export function fillDelivery(
  out: ScannedFrame,
  roomTail: number,
  seqNo: number,
  bytes: Uint8Array,
  id: number,
  content: number,
  end: number,
): boolean {
  out.kind = 'new_message';
  out.roomTail = roomTail;
  out.rev = seqNo;
  out.seqNo = seqNo;
  out.idWorker = uuidWorker(bytes, id);
  out.idTail = uuidTail(bytes, id);
  out.sentAtMicros = sentAt(bytes, content, end);
  return out.roomTail >= 0 && out.idTail >= 0 && out.idWorker >= 0 && out.sentAtMicros >= 0;
}

/** A frame of which all that isn't given is absent. */
export function parsed(type: string, payload: Members, rest: Partial<ParsedFrame> = {}): ParsedFrame {
  return { type, roomId: undefined, rev: undefined, ref: undefined, payload, ...rest };
}
