/** In place of src/observability/lean-histogram.ts: the same, where it is switched on. */
import { leanHistogram as real } from '../../../src/observability/lean-histogram.js';
import { isOn } from './switch.js';

export const leanHistogram: typeof real = (registers, of) => {
  const series = real(registers, of);
  return (labels) => {
    const observe = series(labels);
    return (value) => {
      if (isOn()) observe(value);
    };
  };
};
