/** Migrations as files: `NNNNNN_name.up.sql` and `NNNNNN_name.down.sql` in one directory. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface Migration {
  readonly version: number;
  readonly name: string;
  /** `NNNNNN_name` */
  readonly id: string;
  /** SHA-256 of the up file, the same for either style of line ends. */
  readonly checksum: string;
  readonly up: Step;
  readonly down: Step | null;
}

export type Step =
  | { readonly inTransaction: true; readonly sql: string }
  | { readonly inTransaction: false; readonly statements: readonly string[] };

const FILE_NAME = /^(\d{6})_([a-z0-9_]+)\.(up|down)\.sql$/;
const NO_TRANSACTION = /^--\s*no-transaction\s*$/;

/** `migrations/` of the package that this module is part of, whether it runs from src/ or from dist/. */
export function defaultMigrationsDir(): string {
  for (let dir = import.meta.dirname; ; dir = dirname(dir)) {
    if (existsSync(join(dir, 'package.json'))) return join(dir, 'migrations');
    if (dir === dirname(dir)) throw new Error(`no package.json above ${import.meta.dirname}`);
  }
}

/**
 * Reads all migrations of a directory, in order of their versions. Files that don't end in `.sql` are ignored.
 *
 * @throws naming the file: badly named, a version used twice, or a down file without its up file
 */
export async function readMigrations(dir: string): Promise<Migration[]> {
  const files = (await readdir(dir)).filter((file) => file.endsWith('.sql')).sort();
  const badlyNamed = files.filter((file) => !FILE_NAME.test(file));
  if (badlyNamed.length > 0) {
    throw new Error(
      `${join(dir, badlyNamed.join(', '))}: a migration is named NNNNNN_name.up.sql or NNNNNN_name.down.sql`,
    );
  }
  const downs = new Set(files.filter((file) => file.endsWith('.down.sql')));
  const migrations: Migration[] = [];
  for (const file of files.filter((name) => name.endsWith('.up.sql'))) {
    const id = file.slice(0, -'.up.sql'.length);
    const version = Number(id.slice(0, 6));
    const twin = migrations.find((other) => other.version === version);
    if (twin) throw new Error(`${join(dir, file)}: ${twin.id} has the same number`);
    const up = await readText(join(dir, file));
    const down = downs.delete(`${id}.down.sql`)
      ? parseStep(await readText(join(dir, `${id}.down.sql`)))
      : null;
    const checksum = createHash('sha256').update(up).digest('hex');
    migrations.push({ version, name: id.slice(7), id, checksum, up: parseStep(up), down });
  }
  for (const orphan of downs) throw new Error(`${join(dir, orphan)}: there is no up file of this name`);
  return migrations;
}

/**
 * Writes an empty pair of files with the next number.
 *
 * @returns their paths
 * @throws where the name has other than letters, digits, blanks, `-` and `_`
 */
export async function createMigration(name: string, dir = defaultMigrationsDir()): Promise<string[]> {
  const slug = name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s_-]+/g, '_');
  if (!/^[a-z0-9_]+$/.test(slug))
    throw new Error(`${JSON.stringify(name)}: a name has letters, digits, - and _`);
  const version = Math.max(0, ...(await readMigrations(dir)).map((migration) => migration.version)) + 1;
  const id = `${String(version).padStart(6, '0')}_${slug}`;
  const paths = ['up', 'down'].map((direction) => join(dir, `${id}.${direction}.sql`));
  for (const path of paths) await writeFile(path, '', { flag: 'wx' });
  return paths;
}

function parseStep(text: string): Step {
  const [firstLine = ''] = text.split('\n', 1);
  if (!NO_TRANSACTION.test(firstLine)) return { inTransaction: true, sql: text };
  const statements = text.split(/;[ \t]*$/m).filter((part) => part.replaceAll(/--.*$/gm, '').trim() !== '');
  return { inTransaction: false, statements };
}

async function readText(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).replaceAll('\r\n', '\n');
}
