import { v7 } from 'uuid';

/** Branded ids: a room's id can't be handed over where a user's is meant. All are canonical lower-case UUIDs. */
declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type UserId = Branded<'UserId'>;
export type RoomId = Branded<'RoomId'>;
export type MessageId = Branded<'MessageId'>;
export type SessionId = Branded<'SessionId'>;
export type AttachmentId = Branded<'AttachmentId'>;

/** Canonical lower-case UUID of any version (PROTOCOL §1). */
export const UUID_PATTERN = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$';
const UUID = new RegExp(UUID_PATTERN);

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** A fresh UUID v7, whose order is its time of creation. */
export function newId<Id extends Branded<string>>(): Id {
  return v7() as Id;
}

/** Rooms and users hash into this many partitions, for ever (DESIGN §1): stored streams are named by it. */
export const PARTITIONS = 64;

/**
 * The partition of a room or user: FNV-1a over the id's characters, so that it is the same on every node,
 * in every version and in any language.
 */
export function partitionOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) {
    hash ^= id.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  return (hash >>> 0) % PARTITIONS;
}

/** The shard that owns a room or user in a process with `shards` shards. */
export function shardOf(id: string, shards: number): number {
  return partitionOf(id) % shards;
}
