import { type ParseArgsConfig, parseArgs } from 'node:util';

/** A mistake on the command line; its message is a sentence for the person who typed it. */
export class UsageError extends Error {}

/** `t=` + 16 digits + `;`: what every message's content begins with (see frame-layout.ts). */
export const MIN_PAYLOAD_BYTES = 19;

/** A content holds at most 5,000 code points (PROTOCOL.md §2); the filler is ASCII. */
export const MAX_PAYLOAD_BYTES = 5_000;

const USAGE = `npm run bench:load -- [options]

Load
  --connections N       client sockets (1000)
  --shape X             even | many-small (rooms of 5) | few-large (10 rooms) | one-huge | zipf (sizes as 1/rank) (even)
  --rooms N             rooms, instead of the shape's own number (100 for even and zipf)
  --rooms-per-socket N  rooms that each socket joins; with --shape even only (1)
  --users N             at most so many accounts, shared by the sockets (200)
  --senders N           how many sockets send, in turn (all but slow readers)
  --rate N              messages a second over all senders, open loop; 0 sends nothing (2000)
  --seconds N           measured time (20)
  --warmup N            seconds before it: checked, not measured (3)
  --drain N             seconds to wait at the end for acks, then for deliveries (10)
  --encoding X          json | msgpack | mixed (json)
  --payload-bytes N     size of a message's content, ${MIN_PAYLOAD_BYTES}..${MAX_PAYLOAD_BYTES} (120)
  --processes N         loader processes (one for each 15,000 sockets)
  --source-addresses N  spread the sockets over 127.0.0.1..127.0.0.N (one for each 20,000 sockets)
  --connect-rate N      new sockets a second (1000)
  --seed N              order of senders, filler, whom --jitter cuts (1)
  --allow-overload      refusals by overloaded/unavailable don't fail the run

What happens beside (every sequence number is checked all the same)
  --jitter N            cut N sockets a second, at random; each comes back within 2 s and resumes (0)
  --storm               cut all sockets at once in the middle of the measured time; all come back at once
  --slow-readers N      N sockets stop reading once joined, until the sending is over; not among the senders (0)
  --idle                send nothing: what does a socket cost in memory?

Search
  --ramp                from --rate on, find the highest rate with p99 delivery below --p99-limit; a new server for each step
  --p99-limit N         milliseconds (100)
  --resolution N        end the search when the bounds are so close, as a ratio (1.1)

Server
  --url URL[,URL]       running servers, e.g. http://127.0.0.1:8080; sockets go round them (default: start dist/src/main.js)
  --server-entry FILE   start this instead, e.g. another build's dist/src/main.js
  --database-url URL    given to the server it starts as DATABASE_URL
  --server-processes N  the server it starts serves from N processes on one port (1)
  --server-pid N        with --url: the server process to watch in /proc
  --postgres-pid N      the postmaster to watch in /proc (default: found in the server's DATA_DIR)
  --dialect X           parley | socket.io | centrifugo | tinode: what is spoken (for the others of bench/compare) (parley)

Results
  --results DIR         result.json, ack.hgrm, delivery.hgrm, report.html (default: a new one in bench/results; none: no files)
  --json FILE           the result as JSON, here as well
  --hdr PREFIX          PREFIX-ack.hgrm and PREFIX-delivery.hgrm as well
  --help`;

/** The help text, for `--help` and after a mistake. */
export function usage(): string {
  return USAGE;
}

/** An option that takes a value, with what it is where none is given. */
export const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;

/** Reads a command line that holds options alone. @throws UsageError */
export function readTokens<T extends NonNullable<ParseArgsConfig['options']>>(
  argv: readonly string[],
  options: T,
) {
  try {
    return parseArgs({ args: [...argv], strict: true, allowPositionals: false, options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Options as they were read, as arguments again: for the loader, which reads those of its own. */
export function argumentsOf<T extends object>(
  tokens: T,
  given: Readonly<Record<keyof T & string, string>>,
): string[] {
  return (Object.keys(tokens) as (keyof T & string)[]).flatMap((name) => [`--${name}`, given[name]]);
}

/** A whole number within bounds. @throws UsageError naming the option. */
export function whole(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max) {
    throw new UsageError(`--${name} must be a whole number from ${min} to ${max}, not '${text}'`);
  }
  return value;
}

/** A number within bounds. @throws UsageError naming the option. */
export function real(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < min || value > max) {
    throw new UsageError(`--${name} must be a number from ${min} to ${max}, not '${text}'`);
  }
  return value;
}

/** One of some words. @throws UsageError naming the option and the words. */
export function oneOf<T extends string>(name: string, text: string, words: readonly T[]): T {
  const found = words.find((word) => word === text);
  if (found === undefined)
    throw new UsageError(`--${name} must be one of ${words.join(', ')}, not '${text}'`);
  return found;
}
