import type { Registry } from 'prom-client';
import { leanCounter } from './lean-counter.js';

/** Counts what limits refuse, in whichever thread does: under one name, each limit there from the start. */
export function limitsHit<Limit extends string>(
  registers: Registry[],
  limits: readonly Limit[],
): (limit: Limit) => void {
  return leanCounter(registers, {
    name: 'parley_limits_hit_total',
    help: 'Requests and sockets refused by a limit.',
    label: 'limit',
    values: limits,
  });
}
