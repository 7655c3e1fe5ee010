import { performance } from 'node:perf_hooks';

/** Hears of every call of an operation. */
export interface OperationMeter {
  begun(): void;
  ended(ok: boolean, seconds: number): void;
}

/** Gives the meter of an operation by its name: the same one for the same name. */
export type CallMeter = (operation: string) => OperationMeter;

/** The same operations, each of which tells how long it took. Anything but functions that give promises is left alone. */
export function timed<Operations extends object>(operations: Operations, meter: CallMeter): Operations {
  const entries = Object.entries(operations).map(([name, operation]) => {
    if (typeof operation !== 'function') return [name, operation];
    const { begun: began, ended } = meter(name);
    const call = (...args: unknown[]): unknown => {
      const begun = performance.now();
      const result: unknown = operation.apply(operations, args);
      if (result instanceof Promise) {
        began();
        const told = (ok: boolean) => () => ended(ok, (performance.now() - begun) / 1_000);
        result.then(told(true), told(false));
      }
      return result;
    };
    return [name, call];
  });
  return Object.fromEntries(entries) as Operations;
}
