import { Counter, Gauge, type Registry } from 'prom-client';

/** Lookups so far, and what the cache holds now. */
export interface CacheFigures {
  readonly hits: number;
  readonly misses: number;
  readonly entries: number;
}

/** Tells of caches by name, as they are when scraped. */
export function registerCaches(
  registers: Registry[],
  caches: Readonly<Record<string, () => CacheFigures>>,
): void {
  new Counter({
    name: 'parley_cache_lookups_total',
    help: 'Lookups in a cache, by cache and by `hit` or `miss`.',
    labelNames: ['cache', 'result'],
    registers,
    collect() {
      this.reset();
      for (const [cache, read] of Object.entries(caches)) {
        const { hits, misses } = read();
        this.inc({ cache, result: 'hit' }, hits);
        this.inc({ cache, result: 'miss' }, misses);
      }
    },
  });
  new Gauge({
    name: 'parley_cache_entries',
    help: 'What a cache holds, by cache.',
    labelNames: ['cache'],
    registers,
    collect() {
      for (const [cache, read] of Object.entries(caches)) this.set({ cache }, read().entries);
    },
  });
}
