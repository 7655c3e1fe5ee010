/**
 * Watches a room's numbers from one member's side: seq_no and rev both go up by one with every new message. Plain, so that it is
 * tested without k6.
 */
export interface Walk {
  /** @returns what a number is to this member. */
  arrive(value: number): 'next' | 'ahead' | 'late' | 'repeated';
  /** Numbers that were passed over and have not come since. */
  missing(): number;
}

/** @param head the number that the room had when the member joined. */
export function startWalk(head: number): Walk {
  let next = head + 1;
  const absent = new Set<number>();
  return {
    arrive(value) {
      if (value < next) return absent.delete(value) ? 'late' : 'repeated';
      for (let passed = next; passed < value; passed += 1) absent.add(passed);
      const arrival = value === next ? 'next' : 'ahead';
      next = value + 1;
      return arrival;
    },
    missing: () => absent.size,
  };
}
