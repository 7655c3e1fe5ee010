import { Counter, type Registry } from 'prom-client';

/** Counts what limits refuse, in whichever thread does: under one name, each limit there from the start. */
export function limitsHit<Limit extends string>(
  registers: Registry[],
  limits: readonly Limit[],
): (limit: Limit) => void {
  const refused = new Counter({
    name: 'parley_limits_hit_total',
    help: 'Requests and sockets refused by a limit.',
    labelNames: ['limit'],
    registers,
  });
  for (const limit of limits) refused.inc({ limit }, 0); // so that the first one shows as an increase
  return (limit) => refused.inc({ limit });
}
