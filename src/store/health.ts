import type { Db } from './client.js';

const CHECK_TIMEOUT_MS = 2_000; // seed §18.3: checks end after two seconds

/** Whether the database answers within two seconds. Never rejects. */
export async function databaseAnswers(db: Db): Promise<boolean> {
  const late = new Promise<false>((resolve) => setTimeout(resolve, CHECK_TIMEOUT_MS, false).unref());
  const answered = db`select 1`.then(
    () => true,
    () => false,
  );
  return Promise.race([answered, late]);
}
