/** Makes a run's accounts, rooms and members over REST, and reads the rooms' heads at its end. */
import { randomBytes } from 'node:crypto';
import type { RoomHead } from './checker.js';
import { asMembers } from './frame-read.js';
import type { LoaderRoom } from './messages.js';
import type { LoadPlan, RoomPlan } from './plan.js';
import { mapBounded, needNumber, needString, type RestClient } from './rest-client.js';

export interface Account {
  readonly id: string;
  readonly token: string;
}

/** What exists on the server when the set-up is done. */
export interface Scene {
  /** By user number of the plan; a number that no socket uses has none. */
  readonly accounts: ReadonlyMap<number, Account>;
  readonly rooms: readonly LoaderRoom[];
}

/** Requests at a time: keeps two cores busy without queueing for long. */
const PARALLEL_REQUESTS = 16;

/** Members named when a room is made; the rest is added one by one. */
const MEMBERS_AT_CREATION = 50;

async function register(rest: RestClient, run: string, user: number): Promise<Account> {
  const username = `b${run}-${user}`;
  const data = await rest.call('POST', '/auth/register', undefined, {
    username,
    email: `${username}@bench.example.com`,
    password: randomBytes(12).toString('hex'),
  });
  const person = asMembers(data.user);
  return { id: needString(person, 'id'), token: needString(data, 'token') };
}

function accountOf(accounts: ReadonlyMap<number, Account>, user: number | undefined): Account {
  const account = user === undefined ? undefined : accounts.get(user);
  if (account === undefined) throw new RangeError(`no account for user ${user}`);
  return account;
}

async function makeRoom(
  rest: RestClient,
  accounts: ReadonlyMap<number, Account>,
  room: RoomPlan,
  name: string,
): Promise<LoaderRoom> {
  const creator = accountOf(accounts, room.members[0]);
  const others = room.members.slice(1).map((user) => accountOf(accounts, user).id);
  const data = await rest.call('POST', '/rooms', creator.token, {
    name,
    type: 'private',
    member_ids: others.slice(0, MEMBERS_AT_CREATION),
  });
  const id = needString(data, 'id');
  for (const userId of others.slice(MEMBERS_AT_CREATION)) {
    await rest.call('POST', `/rooms/${id}/members`, creator.token, { user_id: userId });
  }
  return { id, headSeq: needNumber(data, 'head_seq'), headRev: needNumber(data, 'head_rev') };
}

/** Sets the scene for a plan. Throws with the server's answer when something is refused. */
export async function setScene(rest: RestClient, plan: LoadPlan): Promise<Scene> {
  // Several runs may use one database: names of a run share a random part.
  const run = randomBytes(4).toString('hex');
  const users = [...new Set(plan.sockets.map((socket) => socket.user))];
  const registered = await mapBounded(users, PARALLEL_REQUESTS, (user) => register(rest, run, user));
  const accounts = new Map(users.map((user, index) => [user, registered[index] as Account]));
  const rooms = await mapBounded(plan.rooms, PARALLEL_REQUESTS, (room, index) =>
    makeRoom(rest, accounts, room, `bench ${run} ${index}`),
  );
  return { accounts, rooms };
}

/** The rooms' heads as the server tells them now. */
export async function readHeads(rest: RestClient, plan: LoadPlan, scene: Scene): Promise<RoomHead[]> {
  return await mapBounded(scene.rooms, PARALLEL_REQUESTS, async (room, index) => {
    const reader = accountOf(scene.accounts, plan.rooms[index]?.members[0]);
    const data = await rest.call('GET', `/rooms/${room.id}`, reader.token);
    return { headSeq: needNumber(data, 'head_seq'), headRev: needNumber(data, 'head_rev') };
  });
}
