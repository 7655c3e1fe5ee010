import type { TransferStart } from '../src/ipc/messages.js';
import { runTransfer } from '../src/transfer/transfer.js';

/** The long task of the transfer thread: ends when it is drained, rejects when it crashes. */
export async function serve(start: TransferStart): Promise<void> {
  await runTransfer(start);
}
