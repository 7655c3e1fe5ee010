/**
 * A lock on a directory, held by a process and gone with it, however it ends.
 *
 * Node has no flock(2), so the lock is made of files `DIR/locks/NAME.<pid>.<start>.<n>`, one a contender, which
 * only their owners write and anybody may remove once the owner is dead:
 *
 *     (none) ──write──► claiming ──nobody else is there──► held ──release, or death──► (none)
 *                          │ somebody holds, or claims with a smaller name
 *                          └──► (none): try again until the time is up
 *
 * Everybody writes first and looks afterwards, so of two contenders at least one sees the other.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isProcessAlive, processStartId } from './process-identity.js';

const RETRY_MS = 20; // how often a waiting contender looks; a look costs one readdir
const CLAIM_MAX_MS = 5_000; // a claim takes microseconds; one that lasts this long belongs to a stopped process

export interface DirectoryLock {
  /** Gives the lock up; a second call does nothing. */
  readonly release: () => void;
}

/** Thrown where another process, or this one, holds the lock: `pid` is the holder's. */
export interface DirectoryInUseError extends Error {
  readonly code: 'DIRECTORY_IN_USE';
  readonly pid: number;
}

interface Claim {
  readonly file: string;
  readonly pid: number;
  readonly held: boolean;
}

let claimsOfThisProcess = 0;

/**
 * Takes DATA_DIR for this server, creating it where it is missing. A holder that was killed is no obstacle.
 *
 * @throws DirectoryInUseError where a live server has it, at once
 */
export function lockDataDir(dataDir: string): Promise<DirectoryLock> {
  return lockDirectory(dataDir, 'server', 0);
}

/**
 * Takes the lock `name` (letters and hyphens) of a directory, waiting up to `waitMs` for its holder.
 *
 * @throws DirectoryInUseError when the time is up
 */
export async function lockDirectory(dir: string, name: string, waitMs: number): Promise<DirectoryLock> {
  const locks = makeLocksDir(dir);
  claimsOfThisProcess += 1;
  const own = `${name}.${process.pid}.${startHash(process.pid)}.${claimsOfThisProcess}`;
  const path = join(locks, own);
  const giveUpAt = Date.now() + waitMs;
  for (;;) {
    writeFileSync(path, 'claiming', { mode: 0o600 });
    const rival = await awaitTurn(locks, name, own);
    if (rival === null) break;
    rmSync(path, { force: true });
    if (Date.now() >= giveUpAt) throw inUse(dir, rival.pid);
    await sleep(RETRY_MS);
  }
  writeFileSync(path, 'held');
  return { release: () => rmSync(path, { force: true }) };
}

/** Looks until the own claim stands alone (null) or has to give way to a rival. */
async function awaitTurn(locks: string, name: string, own: string): Promise<Claim | null> {
  const giveUpAt = Date.now() + CLAIM_MAX_MS;
  for (;;) {
    const rivals = liveClaims(locks, name).filter((claim) => claim.file !== own);
    const stronger = rivals.find((claim) => claim.held || claim.file < own);
    if (stronger || rivals[0] === undefined) return stronger ?? null;
    if (Date.now() >= giveUpAt) return rivals[0];
    await sleep(RETRY_MS); // the rest are about to give way to this claim, or to hold
  }
}

/** All claims of processes that live; those of dead ones are removed. */
function liveClaims(locks: string, name: string): Claim[] {
  return readdirSync(locks).flatMap((file) => {
    const [claimed, pidText, start] = file.split('.');
    const pid = Number(pidText);
    if (claimed !== name || !Number.isSafeInteger(pid) || pid <= 0) return [];
    if (!isProcessAlive(pid) || startHash(pid) !== start) {
      rmSync(join(locks, file), { force: true });
      return [];
    }
    return [{ file, pid, held: readClaim(join(locks, file)) === 'held' }];
  });
}

function readClaim(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // given up between the listing and now
  }
}

/** DIR is enterable by others where root makes it, because the embedded database then runs as another user. */
function makeLocksDir(dir: string): string {
  const locks = join(dir, 'locks');
  mkdirSync(dir, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
  mkdirSync(locks, { recursive: true, mode: 0o700 });
  return locks;
}

function startHash(pid: number): string {
  return createHash('sha256')
    .update(processStartId(pid) ?? '')
    .digest('hex')
    .slice(0, 16);
}

function inUse(dir: string, pid: number): DirectoryInUseError {
  const holder = pid === process.pid ? `this process already (pid ${pid})` : `the process with pid ${pid}`;
  const error = new Error(`${dir} is in use by ${holder}; stop it, or give this one its own directory`);
  return Object.assign(error, { code: 'DIRECTORY_IN_USE' as const, pid });
}
