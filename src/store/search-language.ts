import type postgres from 'postgres';
import { withShortLocks } from './migration-locks.js';

/** SEARCH_LANGUAGE names no text search configuration of this PostgreSQL. */
export class UnknownSearchLanguage extends Error {
  constructor(language: string, known: readonly string[]) {
    super(
      `SEARCH_LANGUAGE: ${JSON.stringify(language)} is not allowed; this PostgreSQL has: ${known.join(', ')}`,
    );
    this.name = 'UnknownSearchLanguage';
  }
}

/**
 * Makes messages searchable in a language, where they aren't yet. The words that are written are dropped, and written
 * anew beside the work of the day (store/search-index.ts): until then searches read messages one by one, and end early.
 * For migrations, under their lock.
 *
 * @returns whether there was anything to do
 * @throws UnknownSearchLanguage; where the table isn't free within `giveUpAfterMs`
 */
export async function applySearchLanguage(
  sql: postgres.Sql,
  language: string,
  giveUpAfterMs: number,
): Promise<boolean> {
  const [settings] = await sql<{ language: string }[]>`select language from search_settings`;
  const known = await sql<{ name: string }[]>`
    select cfgname as name from pg_ts_config c join pg_ts_parser p on p.oid = c.cfgparser
    where pg_ts_config_is_visible(c.oid) and cfgname <> 'parley' and prsname = 'default' order by 1`;
  const names = known.map(({ name }) => name);
  if (!names.includes(language)) throw new UnknownSearchLanguage(language, names);
  if (settings?.language === language) return false;
  await withShortLocks(sql, giveUpAfterMs, async (tx) => {
    await tx`lock table search_progress, message_words`; // in the order of those who write words
    await tx`select set_search_language(quote_ident(${language})::regconfig)`;
    await tx`truncate message_words`;
    await tx`update search_progress set indexed_seq = 0 where indexed_seq > 0`;
    await tx`update search_settings set language = ${language}`;
  });
  return true;
}
