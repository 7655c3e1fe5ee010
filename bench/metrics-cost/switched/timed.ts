/** In place of src/observability/timed.ts: calls are timed where it is switched on. */
import { timed as real } from '../../../src/observability/timed.js';
import { isOn } from './switch.js';

export const timed: typeof real = (operations, meter) => {
  const metered: object = real(operations, meter);
  const plain = Object.entries(operations);
  const calls = plain.map(([name, operation]) => {
    if (typeof operation !== 'function') return [name, operation];
    const call = (metered as Record<string, (...args: unknown[]) => unknown>)[name];
    return [
      name,
      (...args: unknown[]): unknown => (isOn() ? call?.(...args) : operation.apply(operations, args)),
    ];
  });
  return Object.fromEntries(calls) as typeof operations;
};
