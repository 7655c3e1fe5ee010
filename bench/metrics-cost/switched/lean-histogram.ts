/** In place of src/observability/lean-histogram.ts: the same, where it is switched on. */
import { leanHistogram as real } from '../../../src/observability/lean-histogram.js';
import { isOn } from './switch.js';

export const leanHistogram: typeof real = (registers, of) =>
  real(registers, of).map((observe) => (value: number) => {
    if (isOn()) observe(value);
  });
