/** In place of src/observability/lean-counter.ts: the same, where it is switched on. */
import { leanCounter as real } from '../../../src/observability/lean-counter.js';
import { isOn } from './switch.js';

export const leanCounter: typeof real = (registers, of) => {
  const count = real(registers, of);
  return (value, by) => {
    if (isOn()) count(value, by);
  };
};
