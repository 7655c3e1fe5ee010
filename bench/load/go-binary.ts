/** Finds a program that Go can build, or builds it into a cache directory. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A program, and how `go install` makes it. */
export interface GoProgram {
  /** Names its place in the cache, with the version. */
  readonly project: string;
  /** As `go install` names the file. */
  readonly name: string;
  /** What it is called on PATH, where that isn't its name. */
  readonly aliases?: readonly string[];
  /** The environment variable that may hold the path of one. */
  readonly variable: string;
  readonly version: string;
  /** Without `@version`. */
  readonly package: string;
  readonly flags?: readonly string[];
  /** Where it is told how to get one. */
  readonly help: string;
}

/** Where Go's own installer puts it, for shells that don't have it on PATH. */
const GO_PLACES = ['/usr/local/go/bin/go', '/usr/lib/go/bin/go'];

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The first of this name on a PATH. */
export function onPath(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

function cacheDirectory({ project, version }: GoProgram): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'parley', `${project}-${version}`);
}

function build(program: GoProgram, directory: string, say: (text: string) => void): string {
  const { name, project, variable, version, flags = [], help } = program;
  const go = onPath('go', process.env.PATH ?? '') ?? GO_PLACES.find(existsSync);
  if (go === undefined) {
    throw new Error(`no ${project} on PATH, none named by ${variable}, and no Go to build one: ${help}`);
  }
  mkdirSync(directory, { recursive: true });
  say(`building ${project} ${version} with ${go}: this takes some minutes, once`);
  const { status, stderr } = spawnSync(go, ['install', ...flags, `${program.package}@${version}`], {
    env: { ...process.env, GOBIN: directory },
    encoding: 'utf8',
  });
  if (status !== 0)
    throw new Error(`go install of ${project} failed (${variable} may name one built elsewhere):\n${stderr}`);
  return join(directory, name);
}

/**
 * What is there already: the program that its variable names, else one on PATH, else the one in the cache.
 * @throws Error when the variable names something that can't be run.
 */
export function foundGoProgram(program: GoProgram): string | undefined {
  const named = process.env[program.variable];
  if (named !== undefined && named !== '') {
    if (!isExecutable(named)) throw new Error(`${program.variable} names ${named}, which can't be run`);
    return named;
  }
  const cached = join(cacheDirectory(program), program.name);
  const names = program.aliases ?? [program.name];
  const known = names.flatMap((name) => onPath(name, process.env.PATH ?? '') ?? []);
  return known[0] ?? (isExecutable(cached) ? cached : undefined);
}

/**
 * What is there already, else a new one in the cache.
 * @throws Error with what to do when there is none and none can be built.
 */
export function findGoProgram(program: GoProgram, say: (text: string) => void): string {
  return foundGoProgram(program) ?? build(program, cacheDirectory(program), say);
}
