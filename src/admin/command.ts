import type { Config } from '../config.js';
import type { Db } from '../store/client.js';

/** What a command works with. */
export interface Admin {
  readonly db: Db;
  readonly config: Config;
  /** A line of the answer, to stdout. */
  readonly say: (line: string) => void;
}

/** The options that commands know; each takes a value but `all`. */
export interface Options {
  readonly for?: string;
  readonly reason?: string;
  readonly limit?: string;
  readonly all?: boolean;
}

export interface Command {
  /** What stands behind the command's name in the usage. */
  readonly takes: string;
  readonly does: string;
  /** How many arguments it takes, `--all` counted as one. */
  readonly arguments: number;
  readonly options: readonly (keyof Options)[];
  /** @throws NotFound, Misused, or what the store throws */
  readonly run: (admin: Admin, args: readonly string[], options: Options) => Promise<void>;
}

/** What the command is about isn't there: exit code 1. */
export class NotFound extends Error {}

/** The command line is wrong: exit code 64. */
export class Misused extends Error {}
