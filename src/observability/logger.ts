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

/**
 * JSON lines on stdout: `event` in snake_case and fields; no prose, secrets or message content. Writes are
 * synchronous, so that the last line before an exit isn't lost.
 */
export function createLogger(level: string, fields: Record<string, unknown>): Logger {
  return pino(
    {
      level,
      base: fields,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: REDACTED.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
      serializers: { err: pino.stdSerializers.err },
    },
    pino.destination({ dest: 1, sync: true }),
  );
}
