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
 * Makes messages searchable in a language, where they aren't yet: builds their words and the index anew, which
 * rewrites the table and keeps everybody out of it meanwhile. For migrations, under their lock.
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
    await tx`lock table messages`;
    await tx`select set_search_language(quote_ident(${language})::regconfig)`;
    await rebuild(tx);
    await tx`update search_settings set language = ${language}`;
  });
  return true;
}

/** Drops the column with its index and adds both as they were: the definition stands in the migration alone. */
async function rebuild(tx: postgres.TransactionSql): Promise<void> {
  const [found] = await tx<{ column: string; index: string }[]>`
    select pg_get_expr(d.adbin, d.adrelid) as column, pg_get_indexdef('messages_search_idx'::regclass) as index
    from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
    where d.adrelid = 'messages'::regclass and a.attname = 'search'`;
  if (found === undefined) throw new Error('messages has no column search');
  await tx.unsafe(`
    alter table messages drop column search,
      add column search tsvector generated always as (${found.column}) stored`);
  await tx.unsafe(found.index);
}
