/** Stops what it was returned for. */
export type Off = () => void;

/** Callbacks by type of event. */
export interface Emitter<Events> {
  /** Calls `fn` with each event of the type until the returned function is called. A `fn` that throws harms nobody else. */
  on<T extends keyof Events>(type: T, fn: (event: Events[T]) => void): Off;
  emit<T extends keyof Events>(type: T, event: Events[T]): void;
}

export function createEmitter<Events>(): Emitter<Events> {
  const byType = new Map<keyof Events, Set<(event: never) => void>>();
  return {
    on(type, fn) {
      const fns = byType.get(type) ?? new Set();
      byType.set(type, fns.add(fn));
      return () => void fns.delete(fn);
    },
    emit(type, event) {
      for (const fn of [...(byType.get(type) ?? [])]) {
        try {
          (fn as (event: unknown) => void)(event);
        } catch (error) {
          // The stream must go on; the error belongs to the application's own handler of errors.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    },
  };
}
