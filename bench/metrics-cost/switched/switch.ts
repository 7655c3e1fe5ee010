/**
 * Part of a server whose metrics count and time by turns: on, off, off, on, each for SLOT_MS, in all threads at once. Whatever
 * else is different between two runs of a server is the same here; so are the memory of prom-client, the clocks that are read
 * for the stages, and the garbage of one turn that is collected in the next.
 */
import { appendFileSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import perfHooks, { type EntryType, type IntervalHistogram } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';
import type * as PromClient from 'prom-client';
import { isOnIn, type Slot, slotAt, slotEnd } from './slots.js';

const logFile = process.env.PARLEY_METRICS_SLOTS;
let slot = slotAt(Date.now());
let on = isOnIn(slot);
const switched: ((on: boolean) => void)[] = [];

export function isOn(): boolean {
  return on;
}

function note(ended: Slot): void {
  const { user, system } = process.cpuUsage();
  if (isMainThread && logFile !== undefined)
    appendFileSync(logFile, `${JSON.stringify({ slot: ended, cpu: user + system })}\n`);
}

function turn(): void {
  note(slot);
  slot = slotAt(Date.now());
  const before = on;
  on = isOnIn(slot);
  if (on !== before) for (const change of switched) change(on);
  setTimeout(turn, slotEnd(slot) - Date.now()).unref();
}

/** The methods of prom-client's classes that count. */
function switchClasses({ Counter, Gauge, Histogram }: typeof PromClient): void {
  const counting = [
    [Counter, ['inc']],
    [Gauge, ['inc', 'dec', 'set']],
    [Histogram, ['observe']],
  ] as const;
  for (const [{ prototype }, names] of counting) {
    const methods = prototype as unknown as Record<string, (...args: unknown[]) => unknown>;
    for (const name of names) {
      const count = methods[name];
      methods[name] = function (...args) {
        return on ? count?.apply(this, args) : undefined;
      };
    }
  }
}

/** What watches a thread: its event loop, and its garbage collections. */
function switchWatchers(): void {
  const { monitorEventLoopDelay, PerformanceObserver } = perfHooks;
  perfHooks.monitorEventLoopDelay = (options): IntervalHistogram => {
    const made = monitorEventLoopDelay(options);
    switched.push((isOn) => (isOn ? made.enable() : made.disable()));
    return made;
  };
  perfHooks.PerformanceObserver = class extends PerformanceObserver {
    override observe(what: { entryTypes: readonly EntryType[] }): void {
      super.observe(what);
      switched.push((isOn) => (isOn ? super.observe(what) : this.disconnect()));
    }
  };
  syncBuiltinESMExports();
}

switchClasses(createRequire(import.meta.url)('prom-client') as typeof PromClient);
switchWatchers();
setTimeout(turn, slotEnd(slot) - Date.now()).unref();
