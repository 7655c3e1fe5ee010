import type { Logger } from '../observability/logger.js';

/** A log that repeats a warning only once in a while: what fails, fails a thousand times a second. */
export interface QuietLog {
  warn(event: string, fields: Record<string, unknown>): void;
  /** As often as it is called. */
  info(event: string, fields: Record<string, unknown>): void;
}

export type BusLogger = Pick<Logger, 'warn' | 'info'>;

const REPEAT_MS = 10_000; // often enough to see that it goes on

/** @param names what stands in every line */
export function quietLog(log: BusLogger, names: Record<string, unknown>): QuietLog {
  const said = new Map<string, { at: number; since: number }>(); // by event name, of which there are a few
  return {
    info: (event, fields) => log.info({ event, ...names, ...fields }),
    warn(event, fields) {
      const now = performance.now();
      const last = said.get(event);
      if (last !== undefined && now - last.at < REPEAT_MS) {
        last.since++;
        return;
      }
      said.set(event, { at: now, since: 0 });
      log.warn({ event, ...names, ...fields, unsaid: last?.since ?? 0 });
    },
  };
}

/** An error's message alone: those of ioredis carry the command, which is a password or a message's content. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
