/** What became of each message that this loader sent: outstanding → acknowledged | refused. */
import type { Checker, RoomHead, RoomLedger } from './checker.js';
import { messageKey } from './frame-layout.js';
import { UNNUMBERED } from './frame-scan.js';

export interface SendBook {
  readonly totals: { sent: number; acked: number; refused: number };
  sent(number: number, room: number): void;
  /** @param seqNo UNNUMBERED: the acknowledgement doesn't tell. @returns false if the message wasn't outstanding; the fault is noted. */
  acked(number: number, seqNo: number, rev: number): boolean;
  refused(number: number): void;
  outstanding(): number;
  /** Compares every acknowledgement with what was delivered, and tells of those that are missing. */
  close(ledgers: readonly (RoomLedger | undefined)[], heads: readonly RoomHead[]): void;
}

/** In `seqNos`: nothing sent yet, no answer yet, refused, acknowledged without a number. Real numbers are 1 and up. */
const UNSENT = 0;
const OUTSTANDING = -1;
const REFUSED = -2;
const ACKED_UNNUMBERED = -3;

/** @param total how many messages the loader may send. */
export function createSendBook(loader: number, total: number, checker: Checker): SendBook {
  const totals = { sent: 0, acked: 0, refused: 0 };
  const seqNos = new Float64Array(total);
  const revs = new Float64Array(total);
  const rooms = new Uint32Array(total);

  function checkOne(number: number, ledger: RoomLedger | undefined, head: RoomHead | undefined): void {
    const seqNo = seqNos[number] as number;
    if (seqNo === OUTSTANDING) {
      checker.faults.add(
        'ack_missing',
        () => `message ${number} of loader ${loader}: neither acknowledged nor refused`,
      );
    } else if (seqNo === ACKED_UNNUMBERED && ledger !== undefined) {
      checker.checkUnnumberedAck(ledger, messageKey(loader, number));
    } else if (seqNo > 0 && ledger !== undefined && head !== undefined) {
      checker.checkAck(ledger, messageKey(loader, number), seqNo, revs[number] as number, head);
    }
  }

  return {
    totals,
    sent(number, room) {
      seqNos[number] = OUTSTANDING;
      rooms[number] = room;
      totals.sent += 1;
    },
    acked(number, seqNo, rev) {
      if (seqNos[number] !== OUTSTANDING) {
        checker.faults.add(
          'ack_repeated',
          () => `message ${number} of loader ${loader}, now as seq_no ${seqNo}`,
        );
        return false;
      }
      seqNos[number] = seqNo === UNNUMBERED ? ACKED_UNNUMBERED : seqNo;
      revs[number] = rev;
      totals.acked += 1;
      return true;
    },
    refused(number) {
      if (seqNos[number] !== OUTSTANDING) return;
      seqNos[number] = REFUSED;
      totals.refused += 1;
    },
    outstanding: () => totals.sent - totals.acked - totals.refused,
    close(ledgers, heads) {
      for (let number = 0; number < total; number += 1) {
        if (seqNos[number] === UNSENT) continue;
        const room = rooms[number] as number;
        checkOne(number, ledgers[room], heads[room]);
      }
    },
  };
}
