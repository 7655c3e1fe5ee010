import { type Logger, pino } from 'pino';

export type { Logger };

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export function isLogLevel(level: string): boolean {
  return (LEVELS as readonly string[]).includes(level);
}

/** The level that SIGUSR2 goes on to: info ▶ debug ▶ trace ▶ info, from others to info. */
export function nextLogLevel(level: string): string {
  return level === 'info' ? 'debug' : level === 'debug' ? 'trace' : 'info';
}

/** Members that never reach a log, wherever they stand one or two levels down. */
const REDACTED = ['password', 'token', 'refresh_token', 'authorization', 'content', 'secret'];

/** A flood of one event says no more than its first lines: this many a second are written, then how many were left out. */
const EQUAL_LINES_PER_SECOND = 20;
const WINDOW_MS = 1_000;
const EVENTS_COUNTED_MAX = 500; // names are written in the code; beyond it they aren't told apart

export interface SampledLogger {
  readonly log: Logger;
  /** Lines left out so far. */
  readonly leftOut: () => number;
}

/**
 * JSON lines on stdout: `event` in snake_case and fields; no prose, secrets or message content. Writes are
 * synchronous, so that the last line before an exit isn't lost. Of each event a bounded number a second is written.
 */
export function createSampledLogger(level: string, fields: Record<string, unknown>): SampledLogger {
  const sampler = createSampler((of, lines) => log.warn({ event: 'log_lines_left_out', of, lines }));
  const log: Logger = pino(
    {
      level,
      base: fields,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: REDACTED.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
      serializers: { err: shownError },
      hooks: {
        logMethod(args, method) {
          const [line] = args as unknown as [{ readonly event?: unknown }];
          if (sampler.wants(String(line?.event))) method.apply(this, args);
        },
      },
    },
    pino.destination({ dest: 1, sync: true }),
  );
  return { log, leftOut: sampler.leftOut };
}

/** Without the certificates that errors of TLS bring along: thousands of bytes as numbers. */
function shownError(error: Error): object {
  const { cert: _, ...shown } = pino.stdSerializers.err(error);
  return shown;
}

export function createLogger(level: string, fields: Record<string, unknown>): Logger {
  return createSampledLogger(level, fields).log;
}

/** Counts lines by event in windows of a second; `tell` hears of those left out when a window ends. */
function createSampler(tell: (event: string, lines: number) => void) {
  let seen = new Map<string, number>();
  let counting = false;
  let leftOut = 0;

  function endWindow(): void {
    const ended = seen;
    seen = new Map();
    counting = false;
    for (const [event, lines] of ended) {
      if (lines > EQUAL_LINES_PER_SECOND) tell(event, lines - EQUAL_LINES_PER_SECOND);
    }
  }

  return {
    leftOut: () => leftOut,
    wants(event: string): boolean {
      if (!counting) setTimeout(endWindow, WINDOW_MS).unref();
      counting = true;
      const key = seen.has(event) || seen.size < EVENTS_COUNTED_MAX ? event : 'others';
      const lines = (seen.get(key) ?? 0) + 1;
      seen.set(key, lines);
      if (lines <= EQUAL_LINES_PER_SECOND) return true;
      leftOut++;
      return false;
    },
  };
}
