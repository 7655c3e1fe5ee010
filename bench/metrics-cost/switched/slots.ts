/** Turns of a switched server, by the clock: all threads agree on them. */
export type Slot = number;

/** No divisor of a second: what the server does every second falls into all of them alike. */
export const SLOT_MS = 730;
/** On, off, off, on: what changes steadily meanwhile falls into both alike. */
export const CYCLE = 4;

export const slotAt = (ms: number): Slot => Math.floor(ms / SLOT_MS);
export const slotEnd = (slot: Slot): number => (slot + 1) * SLOT_MS;
export const isOnIn = (slot: Slot): boolean => slot % CYCLE === 0 || slot % CYCLE === CYCLE - 1;
