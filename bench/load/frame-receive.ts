import type { Faults } from './faults.js';
import { type FrameReader, type ParsedFrame, scanOfParsed } from './frame-read.js';
import { emptyScan, type ScannedFrame } from './frame-scan.js';

/** How many deliveries and acks were read by the scanner, and how many by the full parse. */
export interface ReceiverCounts {
  scanned: number;
  parsed: number;
}

export interface FrameHandlers {
  /** A delivery or an ack; the object is reused for the next. */
  traffic(frame: ScannedFrame): void;
  other(frame: ParsedFrame): void;
  /** A frame that can't be read, in words. */
  unhandled(what: string): void;
}

/** One in so many scanned frames is parsed as well, and must say the same: the bench checks its own short cut as it runs. */
const VERIFY_EVERY = 1_024;

function differs(one: ScannedFrame, other: ScannedFrame): boolean {
  return (
    one.kind !== other.kind ||
    one.roomTail !== other.roomTail ||
    one.rev !== other.rev ||
    one.seqNo !== other.seqNo ||
    one.idTail !== other.idTail ||
    one.idWorker !== other.idWorker ||
    one.sentAtMicros !== other.sentAtMicros
  );
}

/** @returns a function that takes each message of a socket as a range of bytes. */
export function createFrameReceiver(
  { scan, parse }: FrameReader,
  counts: ReceiverCounts,
  faults: Faults,
  handlers: FrameHandlers,
): (bytes: Buffer, start: number, end: number) => void {
  const found = emptyScan();
  const whole = emptyScan();

  function verify(bytes: Buffer, start: number, end: number): void {
    if (scanOfParsed(parse(bytes, start, end), whole) && !differs(found, whole)) return;
    faults.add(
      'scan_mismatch',
      () => `the bench misread ${bytes.toString('latin1', start, Math.min(end, start + 300))}`,
    );
  }

  return (bytes, start, end) => {
    if (scan(bytes, start, end, found)) {
      counts.scanned += 1;
      if (counts.scanned % VERIFY_EVERY === 0) verify(bytes, start, end);
      handlers.traffic(found);
      return;
    }
    let frame: ParsedFrame;
    try {
      frame = parse(bytes, start, end);
    } catch (error) {
      handlers.unhandled(`${String(error)}: ${bytes.toString('latin1', start, Math.min(end, start + 200))}`);
      return;
    }
    if (scanOfParsed(frame, found)) {
      counts.parsed += 1;
      handlers.traffic(found);
    } else {
      handlers.other(frame);
    }
  };
}
