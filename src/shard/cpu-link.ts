import { isOutdatedHash, type PasswordHashCost } from '../auth/password-hash.js';
import type { PasswordHasher } from '../auth/ports.js';
import type { CpuTask, Picture, ToFront, ToShard } from '../ipc/messages.js';
import { type Deferred, deferred } from '../lib/deferred.js';
import { Refusal } from '../protocol/errors.js';

/** CPU work by way of the front, which holds the pool: bounded there, so that a full queue says no. */
export function createCpuLink(
  outbox: { post(message: Extract<ToFront, { t: 'cpu' }>): void },
  cost: PasswordHashCost,
) {
  const waiting = new Map<number, Deferred<unknown>>();
  let lastId = 0;

  function ask(task: CpuTask): Promise<unknown> {
    const id = ++lastId;
    const result = deferred<unknown>();
    waiting.set(id, result);
    outbox.post({ t: 'cpu', id, task });
    return result.promise;
  }

  const hasher: PasswordHasher = {
    hash: async (password) => (await ask({ op: 'hash_password', password })) as string,
    verify: async (password, hash) => (await ask({ op: 'verify_password', password, hash })) as boolean,
    isOutdated: (hash) => isOutdatedHash(hash, cost),
  };

  return {
    hasher,
    /** Rejects for what is no picture. */
    picture: async (bytes: Uint8Array) => (await ask({ op: 'make_thumbnail', bytes })) as Picture,
    done(message: Extract<ToShard, { t: 'cpu_done' }>): void {
      const result = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.ok) result?.resolve(message.value);
      else result?.reject(message.overloaded ? new Refusal('overloaded') : new Error('a CPU task failed'));
    },
  };
}
