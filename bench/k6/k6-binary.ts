import { findGoProgram, type GoProgram } from '../load/go-binary.js';

const K6: GoProgram = {
  project: 'k6',
  name: 'k6',
  variable: 'K6',
  // The newest release of k6's first major version, whose module path Go's proxy serves; it needs Go 1.25.
  version: 'v1.8.1',
  package: 'go.k6.io/k6',
  help: 'https://grafana.com/docs/k6',
};

/**
 * `K6`, else k6 on PATH, else the one in the cache, else a new one there.
 * @throws Error with what to do when there is none and none can be built.
 */
export function findK6(say: (text: string) => void): string {
  return findGoProgram(K6, say);
}
