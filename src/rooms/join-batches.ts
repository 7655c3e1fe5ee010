import { type Deferred, deferred } from '../lib/deferred.js';
import { Refusal } from '../protocol/errors.js';
import type { RoomId, UserId } from '../protocol/ids.js';
import type { Member } from '../protocol/model.js';
import type { RoomChange, RoomStore } from './room-store-port.js';
import { canJoin } from './rules.js';

/**
 * Joins of one room go together: those that came while the room was being changed share the next change, its lock
 * and its commit.
 */
const JOINS_MAX = 256; // in one change: so long does anybody else wait for the room
const WAITING_MAX = 10_000; // for one room: more than a shard has requests under way, unless a statement hangs

/** What somebody became, null where he was a member already; or why not. */
type Outcome = Member | Refusal | null;

interface Waiting extends Deferred<Member | null> {
  readonly user_id: UserId;
}

/** Joins a user to a room: gives the new member, or null for who is one already. @throws Refusal, StoreUnavailable */
export function createJoinBatches(
  store: RoomStore,
): (user_id: UserId, room_id: RoomId) => Promise<Member | null> {
  const waiting = new Map<RoomId, Waiting[]>();

  /** The first to wait asks for the change; who comes before it begins goes with it. */
  async function runBatch(room_id: RoomId): Promise<void> {
    let batch: readonly Waiting[] = [];
    try {
      const outcomes = await store.changeRoom(room_id, (change) => {
        batch = take(room_id);
        return joinAll(change, [...new Set(batch.map(({ user_id }) => user_id))]);
      });
      for (const { user_id, resolve, reject } of batch) {
        const outcome = outcomes.get(user_id) ?? null;
        if (outcome instanceof Refusal) reject(outcome);
        else {
          resolve(outcome);
          outcomes.delete(user_id); // asked for twice: the second finds a member
        }
      }
    } catch (error) {
      if (batch.length === 0) batch = take(room_id);
      for (const { reject } of batch) reject(error);
    }
  }

  function take(room_id: RoomId): readonly Waiting[] {
    const all = waiting.get(room_id) ?? [];
    const left = all.slice(JOINS_MAX);
    if (left.length === 0) waiting.delete(room_id);
    else {
      waiting.set(room_id, left);
      void runBatch(room_id);
    }
    return all.slice(0, JOINS_MAX);
  }

  return (user_id, room_id) => {
    const each = { ...deferred<Member | null>(), user_id };
    const others = waiting.get(room_id);
    if (others === undefined) {
      waiting.set(room_id, [each]);
      void runBatch(room_id);
    } else if (others.length < WAITING_MAX) others.push(each);
    else each.reject(new Refusal('overloaded'));
    return each.promise;
  };
}

/** Decides for each by himself, and adds those who may. */
async function joinAll(change: RoomChange, users: readonly UserId[]): Promise<Map<UserId, Outcome>> {
  const [members, bans] = await Promise.all([change.membersOf(users), change.bansOf(users)]);
  const roles = new Map(members.map(({ user_id, role }) => [user_id, role]));
  const banned = new Set(bans.map(({ user_id }) => user_id));
  const outcomes = new Map<UserId, Outcome>();
  for (const user_id of users) {
    const standing = { role: roles.get(user_id) ?? null, room_type: change.room_type, muted_until: null };
    const decision = canJoin(standing, banned.has(user_id));
    if (decision !== null) outcomes.set(user_id, new Refusal(decision));
    else if (standing.role !== null) outcomes.set(user_id, null);
  }
  const fresh = users.filter((user_id) => !outcomes.has(user_id));
  const added = await change.addMembers(fresh.map((user_id) => ({ user_id, role: 'member' })));
  for (const member of added) outcomes.set(member.user_id as UserId, member);
  // Who was not added has deleted his account a moment ago.
  for (const user_id of fresh)
    if (!outcomes.has(user_id)) outcomes.set(user_id, new Refusal('unauthenticated'));
  return outcomes;
}
