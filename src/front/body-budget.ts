/**
 * The bytes of request bodies that have come but aren't whole: what anybody can have a process keep by sending all of
 * a body but its end. Those who haven't shown a token share a part of their own, so that they can't take it from others.
 */
export interface BodyBudget {
  /** Takes so many bytes for a piece that has come. False where they aren't there. */
  take(bytes: number): boolean;
  /** Gives them back. */
  give(bytes: number): void;
}

export const BODIES_OF_NOBODY_MAX_BYTES = 8 * 1_024 * 1_024; // 256 of the largest that routes without a token take
export const BODIES_OF_USERS_MAX_BYTES = 32 * 1_024 * 1_024; // 256 of the largest messages

export function bodyBudget(maxBytes: number): BodyBudget {
  let taken = 0;
  return {
    take(bytes) {
      if (taken + bytes > maxBytes) return false;
      taken += bytes;
      return true;
    },
    give(bytes) {
      taken -= bytes;
    },
  };
}
