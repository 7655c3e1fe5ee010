import type { Room } from '../protocol/model.js';

/** A place in the list of public rooms: the last one that was seen. */
export interface DiscoveryPlace {
  readonly member_count: number;
  readonly id: string;
}

/** Finds public rooms; src/store implements it. @throws StoreUnavailable */
export interface RoomDiscovery {
  /**
   * Public rooms after a place, the largest first, at most `limit`.
   * @param words if not null, a room has for each of these one that starts with it; letters and digits only
   */
  discover(words: readonly string[] | null, after: DiscoveryPlace | null, limit: number): Promise<Room[]>;
}
