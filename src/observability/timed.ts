import { performance } from 'node:perf_hooks';

/** Hears of every call of an operation. */
export interface CallMeter {
  begun(): void;
  ended(operation: string, ok: boolean, seconds: number): void;
}

/** The same operations, each of which tells how long it took. Anything but functions that give promises is left alone. */
export function timed<Operations extends object>(operations: Operations, meter: CallMeter): Operations {
  const entries = Object.entries(operations).map(([name, operation]) => {
    if (typeof operation !== 'function') return [name, operation];
    const call = (...args: unknown[]): unknown => {
      const begun = performance.now();
      const result: unknown = operation.apply(operations, args);
      if (result instanceof Promise) {
        meter.begun();
        const told = (ok: boolean) => () => meter.ended(name, ok, (performance.now() - begun) / 1_000);
        result.then(told(true), told(false));
      }
      return result;
    };
    return [name, call];
  });
  return Object.fromEntries(entries) as Operations;
}
