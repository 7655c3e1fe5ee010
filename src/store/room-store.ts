import { Refusal } from '../protocol/errors.js';
import type { RoomId } from '../protocol/ids.js';
import type { Room, RoomType } from '../protocol/model.js';
import type { NewMember, NewRoom, RoomChange, RoomStore } from '../rooms/room-store-port.js';
import { insertAuditEntries } from './audit-log.js';
import * as bans from './bans.js';
import { type Db, run, StoreUnavailable, type Tx } from './client.js';
import * as members from './members.js';
import * as rooms from './rooms.js';
import { standings } from './standings.js';

// A request waits no longer for its room's turn (DESIGN §2: `unavailable` within 2 s).
const TURN_TIMEOUT_MS = 2_000;
// A direct room found by its key can be deleted before it is read; more than once in a row is no accident.
const DIRECT_ATTEMPTS = 3;

/** The {@link RoomStore} on PostgreSQL. */
export function roomStore(db: Db): RoomStore {
  const inTurn = turns();
  return {
    standings: (pairs) => standings(db, pairs),
    unknownUsers: (user_ids) => members.unknownUsers(db, user_ids),
    roomsMadeBy: (user_id, enough) => rooms.roomsMadeBy(db, user_id, enough),
    createRoom: (room, first) => createRoom(db, room, first),
    roomView: (room_id, user_id) => rooms.roomView(db, room_id, user_id),
    myRooms: (user_id, after, limit) => rooms.myRooms(db, user_id, after, limit),
    members: (room_id, after, limit) => members.memberPage(db, room_id, after, limit),
    changeRoom: (room_id, work) => inTurn(room_id, () => changeRoom(db, room_id, work)),
  };
}

async function createRoom(
  db: Db,
  room: NewRoom,
  first: readonly NewMember[],
): Promise<{ room: Room; created: boolean }> {
  for (let attempt = 0; attempt < DIRECT_ATTEMPTS; attempt++) {
    const made = await transaction(db, (tx) => insertWhole(tx, room, first));
    if (made !== null) return { room: made, created: true };
    const existing = room.direct_key === null ? null : await rooms.roomByDirectKey(db, room.direct_key);
    if (existing !== null) return { room: existing, created: false };
  }
  throw new StoreUnavailable(new Error('the direct room is being deleted and created all the time'));
}

/** Null when the direct key exists; nothing was written then. */
async function insertWhole(tx: Tx, room: NewRoom, first: readonly NewMember[]): Promise<Room | null> {
  if (!(await rooms.insertRoom(tx, room, first.length))) return null;
  await rooms.insertHead(tx, room.id);
  const inserted = await members.insertFirstMembers(tx, room.id, first);
  if (inserted < first.length) throw new Refusal('not_found'); // an account was deleted a moment ago
  return rooms.roomById(tx, room.id);
}

function changeRoom<T>(db: Db, room_id: RoomId, work: (change: RoomChange) => Promise<T>): Promise<T> {
  return transaction(db, async (tx) => {
    const type = await rooms.lockRoom(tx, room_id);
    if (type === null) throw new Refusal('not_found');
    return work(roomChange(tx, room_id, type));
  });
}

function roomChange(tx: Tx, room_id: RoomId, room_type: RoomType): RoomChange {
  return {
    room_type,
    room: async () => {
      const room = await rooms.roomById(tx, room_id);
      if (room === null) throw new Error('a locked room is gone');
      return room;
    },
    membersOf: (user_ids) => members.membersOf(tx, room_id, user_ids),
    countAdmins: () => members.countAdmins(tx, room_id),
    addMembers: (added) => members.insertMembers(tx, room_id, added),
    removeMember: (user_id) => members.deleteMember(tx, room_id, user_id),
    setMember: (user_id, set) => members.updateMember(tx, room_id, user_id, set),
    setDetails: (set) => rooms.updateDetails(tx, room_id, set),
    bansOf: (user_ids) => bans.bansOf(tx, room_id, user_ids),
    putBan: (ban) => bans.putBan(tx, room_id, ban),
    removeBan: (user_id) => bans.deleteBan(tx, room_id, user_id),
    audit: (entries) => insertAuditEntries(tx, room_id, entries),
    deleteRoom: async () => {
      await rooms.markDeleted(tx, room_id);
      await rooms.closeHead(tx, room_id);
    },
  };
}

/** A transaction on one connection: commits when `work` resolves, rolls back when it rejects. */
async function transaction<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  return (await run(db.begin(work))) as T;
}

/**
 * Lets the transactions of one room take turns in this process. The row's lock would do for correctness, but
 * everybody who waits for it would hold a connection, and a rush on one room would starve all messages of
 * them. The requests that wait are bounded by the credit window of the shard's port.
 */
function turns(): <T>(room_id: RoomId, work: () => Promise<T>) => Promise<T> {
  const tails = new Map<RoomId, Promise<unknown>>();
  return (room_id, work) => {
    const asked = performance.now();
    const turn = async () => {
      if (performance.now() - asked > TURN_TIMEOUT_MS)
        throw new StoreUnavailable(new Error('no turn in time'));
      return work();
    };
    const mine = (tails.get(room_id) ?? Promise.resolve()).then(turn, turn);
    const forget = () => {
      if (tails.get(room_id) === mine) tails.delete(room_id);
    };
    tails.set(room_id, mine);
    mine.then(forget, forget);
    return mine;
  };
}
