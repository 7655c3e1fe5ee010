import type postgres from 'postgres';
import { asStoreError, type Db } from './client.js';

/**
 * The rows of a statement in batches, each read once the one before was dealt with. The driver's own iterator ends where
 * the connection is lost between two batches, as if there were no more. A pool whose connection was lost so isn't to be
 * used on: the driver keeps what it had of the answer.
 *
 * @param size rows of a batch
 * @throws StoreUnavailable
 */
export async function* inBatches<Row extends postgres.MaybeRow>(
  db: Db,
  statement: postgres.PendingQuery<Row[]>,
  size: number,
): AsyncGenerator<readonly Row[]> {
  const read: (readonly Row[])[] = [];
  let isOver = false;
  let wake = (): void => undefined;
  let goOn = (_stop?: typeof db.CLOSE): void => undefined;
  const batch = (rows: readonly Row[]) => {
    read.push(rows);
    wake();
    return new Promise<typeof db.CLOSE | undefined>((resolve) => {
      goOn = resolve;
    });
  };
  const ended = statement.cursor(size, batch as never).then(
    () => ({ failed: false, error: null }),
    (error: unknown) => ({ failed: true, error }),
  );
  void ended.then(() => {
    isOver = true;
    wake();
  });
  try {
    for (;;) {
      const rows = read.shift();
      if (rows !== undefined) {
        yield rows;
        if (!isOver) goOn();
      } else if (!isOver) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else break;
    }
  } finally {
    if (!isOver) goOn(db.CLOSE); // the driver would write to a connection that is no more
  }
  const { failed, error } = await ended;
  if (failed) throw asStoreError(error);
}
