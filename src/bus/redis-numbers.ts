/** Publishers known of a partition: more than a cluster has; of those that ended, the longest known goes first. */
const MAX_PUBLISHERS = 256;

/** Which numbers of which publishers have come. */
export interface PublisherNumbers {
  /** How many numbers were left out since the last one; null where this one has come, or came too late. */
  take(partition: number, publisher: string, number: number): number | null;
}

export function createNumbers(): PublisherNumbers {
  const byPartition = new Map<number, Map<string, number>>();
  return {
    take(partition, publisher, number) {
      let last = byPartition.get(partition);
      if (last === undefined) {
        last = new Map();
        byPartition.set(partition, last);
      }
      const before = last.get(publisher);
      if (before !== undefined && number <= before) return null;
      if (before === undefined && last.size >= MAX_PUBLISHERS) {
        for (const oldest of last.keys()) {
          last.delete(oldest);
          break;
        }
      }
      last.set(publisher, number);
      return before === undefined ? 0 : number - before - 1;
    },
  };
}
