/** The thread's entry, both for Piscina (it calls `serve` as one long task) and for a bare Worker (the port is its workerData). */
import { isMainThread, type MessagePort, workerData } from 'node:worker_threads';
import { answerBatches } from './traffic.js';

/** Piscina's task: serves the transferred port until it closes. */
export async function serve(port: MessagePort): Promise<void> {
  await answerBatches(port);
}

/** What a bare Worker is given; Piscina puts something of its own into workerData. */
interface BareWorkerData {
  readonly barePort?: MessagePort;
}

const data: unknown = workerData;
if (!isMainThread && typeof data === 'object' && data !== null && 'barePort' in data) {
  const { barePort } = data as BareWorkerData;
  if (barePort !== undefined) void answerBatches(barePort);
}
