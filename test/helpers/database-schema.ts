import { migrateUp } from '../../src/store/migrations.js';

/** The database that every test database is a copy of. */
export const TEMPLATE_DATABASE = 'parley_template';

/** Brings a database to the newest schema, recorded as `npm run migrate -- up` would. */
export async function migrateDatabase(url: string): Promise<void> {
  await migrateUp(url);
}
