import { Counter, type Registry } from 'prom-client';

/**
 * A counter of one label whose values are known beforehand, for what a flood counts as fast as it comes: prom-client's
 * own builds a key of the labels each time. Each value is told from the start, so that its first count shows as an increase.
 */
export function leanCounter<Value extends string>(
  registers: Registry[],
  of: {
    readonly name: string;
    readonly help: string;
    readonly label: string;
    readonly values: readonly Value[];
  },
): (value: Value, by?: number) => void {
  const { name, help, label } = of;
  const counts = new Map(of.values.map((value) => [value, 0]));
  new Counter({
    name,
    help,
    labelNames: [label],
    registers,
    collect() {
      this.reset();
      for (const [value, count] of counts) this.inc({ [label]: value }, count);
    },
  });
  return (value, by = 1) => counts.set(value, (counts.get(value) ?? 0) + by);
}
