import { within } from './deadline.js';
import { spawnTracked } from './server-process.js';

const DEADLINE_MS = 30_000;

export interface AdminRun {
  readonly code: number | null;
  /** stdout and stderr. */
  readonly lines: readonly string[];
}

/** Runs `npm run admin -- …` on a database, without npm and the build. */
export function runAdmin(databaseUrl: string, ...args: string[]): Promise<AdminRun> {
  return runAdminWith({ DATABASE_URL: databaseUrl }, ...args);
}

/** As {@link runAdmin}, with other settings. */
export async function runAdminWith(
  settings: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<AdminRun> {
  const env = { NODE_ENV: 'test', ...settings };
  const child = spawnTracked(process.execPath, ['dist/src/admin.js', ...args], env);
  const { code } = await within(child.exit, DEADLINE_MS, `the end of ${args[0]}`);
  return { code, lines: child.lines };
}

/** As {@link runAdmin}, of a command that must succeed. */
export async function admin(databaseUrl: string, ...args: string[]): Promise<readonly string[]> {
  const { code, lines } = await runAdmin(databaseUrl, ...args);
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${lines.join('\n')}`);
  return lines;
}
