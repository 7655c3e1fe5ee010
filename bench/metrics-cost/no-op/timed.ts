/** In place of src/observability/timed.ts: calls aren't wrapped. */
export function timed<Operations>(operations: Operations): Operations {
  return operations;
}
