import { hashSync, verifySync } from '@node-rs/argon2';

/** The cost of one argon2id hash, from the configuration. */
export interface PasswordHashCost {
  readonly memoryKib: number;
  readonly passes: number;
}

const ARGON2ID = 2; // `Algorithm.Argon2id`, an ambient const enum that isolated modules can't name
const LANES = 1; // one thread a hash: the pool is what bounds the cores in use

/**
 * Hashes a password of any length, taken whole (bcrypt would stop at 72 bytes) and as it is, with a random
 * salt. Blocks its thread for some 7 ms at the default cost: call it in the CPU pool only.
 *
 * @returns a PHC string: `$argon2id$v=19$m=…,t=…,p=1$salt$hash`
 */
export function hashPassword(password: string, cost: PasswordHashCost): string {
  return hashSync(password, {
    algorithm: ARGON2ID,
    memoryCost: cost.memoryKib,
    timeCost: cost.passes,
    parallelism: LANES,
  });
}

/** Whether the password is the hash's, by the parameters that the hash names; false for a malformed one. */
export function verifyPassword(password: string, hash: string): boolean {
  try {
    return verifySync(hash, password);
  } catch {
    return false;
  }
}

/** Whether a hash was made at another cost than this, or isn't one of ours. */
export function isOutdatedHash(hash: string, cost: PasswordHashCost): boolean {
  return !hash.startsWith(`$argon2id$v=19$m=${cost.memoryKib},t=${cost.passes},p=${LANES}$`);
}
