import type { RoomId, UserId } from '../protocol/ids.js';
import { LARGE_ROOM_MEMBERS } from '../protocol/signals.js';
import type { Admission } from './admission.js';
import type { Author } from './message-service.js';
import type { Announcer } from './ports.js';
import { canRead, canSend, enforce } from './rules.js';

/**
 * Who types where. A user in a room:
 *
 *   silent ──types──► typing ──says so again──► typing
 *                       │ TYPING_TTL_MS, stops, a message, last socket: user_stopped_typing
 *                       ▼
 *                    stopped ──ANNOUNCE_EVERY_MS after the last user_typing──► forgotten
 *                       └──types again──► typing, but said only at the end of that time
 */
const ANNOUNCE_EVERY_MS = 3_000; // one user_typing for a user and room, seed §17.2
const TYPING_TTL_MS = 5_000; // a client says it again sooner
const SWEEP_EVERY_MS = 500;
const ROOMS_PER_USER_MAX = 20; // where one person types at the same time
const USERS_MAX = 20_000; // of one shard; more are not shown typing

export interface Typing {
  /** @throws Refusal for who may not send there (to stop, reading suffices) */
  heard(author: Author, room_id: RoomId, types: boolean): Promise<void>;
  /** What was typed is sent. */
  sent(room_id: RoomId, user_id: UserId): void;
  /** The user has no socket any more. */
  gone(user_id: UserId): void;
  /** Says what is due; called all SWEEP_EVERY_MS. */
  sweep(): void;
  close(): void;
}

interface Entry {
  readonly username: string;
  /** Whether subscribers were told. */
  shown: boolean;
  /** When it ends unless it is said again; 0: it has. */
  until: number;
  announcedAt: number;
}

export function createTyping(ports: {
  readonly admission: Pick<Admission, 'of'>;
  readonly announcer: Pick<Announcer, 'toRoom'>;
  readonly now?: () => number;
}): Typing {
  const { admission, announcer } = ports;
  const now = ports.now ?? (() => performance.now());
  const users = new Map<UserId, Map<RoomId, Entry>>();

  function announce(user_id: UserId, room_id: RoomId, entry: Entry): void {
    entry.shown = true;
    entry.announcedAt = now();
    announcer.toRoom(room_id, 'user_typing', { user_id, username: entry.username });
  }

  function stop(user_id: UserId, room_id: RoomId, entry: Entry): void {
    entry.until = 0;
    if (!entry.shown) return;
    entry.shown = false;
    announcer.toRoom(room_id, 'user_stopped_typing', { user_id, username: entry.username });
  }

  function stopIn(room_id: RoomId, user_id: UserId): void {
    const entry = users.get(user_id)?.get(room_id);
    if (entry !== undefined) stop(user_id, room_id, entry);
  }

  function types(user_id: UserId, room_id: RoomId, username: string): void {
    const known = users.get(user_id);
    const entry = known?.get(room_id);
    if (entry !== undefined) {
      entry.until = now() + TYPING_TTL_MS;
      if (now() - entry.announcedAt >= ANNOUNCE_EVERY_MS) announce(user_id, room_id, entry);
      return;
    }
    if (known === undefined ? users.size >= USERS_MAX : known.size >= ROOMS_PER_USER_MAX) return;
    const fresh: Entry = { username, shown: false, until: now() + TYPING_TTL_MS, announcedAt: 0 };
    if (known === undefined) users.set(user_id, new Map([[room_id, fresh]]));
    else known.set(room_id, fresh);
    announce(user_id, room_id, fresh);
  }

  function sweep(): void {
    const time = now();
    for (const [user_id, theirs] of users) {
      for (const [room_id, entry] of theirs) {
        const again = time - entry.announcedAt >= ANNOUNCE_EVERY_MS;
        if (entry.until <= time) {
          stop(user_id, room_id, entry);
          if (again) theirs.delete(room_id);
        } else if (!entry.shown && again) announce(user_id, room_id, entry);
      }
      if (theirs.size === 0) users.delete(user_id);
    }
  }

  const timer = setInterval(sweep, SWEEP_EVERY_MS);
  return {
    async heard({ user_id }, room_id, typing) {
      const found = admission.of(room_id, user_id);
      const standing = found instanceof Promise ? await found : found;
      if (standing === null) return enforce('not_found');
      enforce(typing ? canSend(standing, Date.now()) : canRead(standing));
      if (!typing) stopIn(room_id, user_id);
      else if (standing.member_count <= LARGE_ROOM_MEMBERS) types(user_id, room_id, standing.username);
    },
    sent: stopIn,
    gone(user_id) {
      for (const [room_id, entry] of users.get(user_id) ?? []) stop(user_id, room_id, entry);
    },
    sweep,
    close: () => clearInterval(timer),
  };
}
