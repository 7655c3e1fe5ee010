import { repeat } from '../lib/repeat.js';

const LOOK_EVERY_MS = 10_000; // a rule takes effect this soon; a look that finds nothing due is one small statement

/**
 * Looks every ten seconds whether a sweep of old messages is due, and runs it.
 * @param ports.sweep sweeps until it is done or `stopped`; finds nothing to do where another node has it
 * @returns what stops it
 */
export function startRetention(ports: {
  readonly sweep: (stopped: () => boolean) => Promise<number>;
  readonly swept: (messages: number) => void;
  readonly report: (error: unknown) => void;
}): () => void {
  const look = async (stopped: () => boolean): Promise<void> => {
    const messages = await ports.sweep(stopped);
    if (messages > 0) ports.swept(messages);
  };
  return repeat(LOOK_EVERY_MS, look, ports.report);
}
