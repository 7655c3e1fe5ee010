/**
 * Writes docs/configuration.md and .env.example from the table of settings. With `--check` it writes nothing and
 * exits 1 where either is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { SETTING_SECTIONS, SETTINGS, type Setting } from '../src/config-settings.js';

const REGENERATE = 'npm run docs:config';

const entries = Object.entries(SETTING_SECTIONS).map(([section, names]) => ({
  section,
  settings: names.map((name) => ({ name, setting: SETTINGS[name] as Setting<unknown> })),
}));

function defaultOf(setting: Setting<unknown>): string {
  if (setting.defaultNote !== null) return setting.defaultNote;
  return setting.default === null ? 'none' : `\`${setting.default}\``;
}

function configurationPage(): string {
  const sections = entries.map(({ section, settings }) => {
    const rows = settings.map(({ name, setting }) => {
      const meaning = setting.secret ? `${setting.meaning} Never logged.` : setting.meaning;
      const cells = [`\`${name}\``, defaultOf(setting), setting.parser.allowed, meaning];
      return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
    });
    return [
      `## ${section}`,
      '',
      '| variable | default | allowed | meaning |',
      '|---|---|---|---|',
      ...rows,
      '',
    ].join('\n');
  });
  return `<!-- Generated from src/config-settings.ts by \`${REGENERATE}\`: don't edit. -->

# Configuration

Parley is configured by environment variables. In development it also reads \`.env\` in the working directory; the
environment wins. An empty variable counts as unset. All are checked together at start: for each mistake one line on
stderr names the variable, what was given (never a secret's value) and what is allowed, and the server exits with 78.

DB_* and REDIS_* are the parts of DATABASE_URL and REDIS_URL: give one form or the other, and of DB_* at least DB_HOST,
DB_USER and DB_NAME. STORAGE_ENDPOINT and the like are refused where STORAGE_TYPE is \`local\`, and STORAGE_DIR where it
isn't, so that a forgotten STORAGE_TYPE can't send attachments to the wrong place.

The certificates of PostgreSQL (with \`verify-full\`) and of Redis (with \`rediss://\`) must be for the name or IP address given, from an
authority that Node.js knows. One of your own is made known by NODE_EXTRA_CA_CERTS, a PEM file; it must be in the environment itself, not in \`.env\`.

${sections.join('\n')}`;
}

function envExample(): string {
  const sections = entries.map(({ section, settings }) => {
    const lines = settings.map(({ name, setting }) => {
      const shown = setting.defaultNote ?? setting.default ?? 'none';
      return `# ${setting.meaning.replaceAll('`', '')} Default: ${shown}.\n#${name}=${setting.default ?? ''}`;
    });
    return `# --- ${section} ---\n\n${lines.join('\n')}\n`;
  });
  return `# Generated from src/config-settings.ts by \`${REGENERATE}\`: don't edit.
# Copy to .env for development, where every setting has a default; take the # from those that should differ.

${sections.join('\n')}`;
}

const files = [
  ['docs/configuration.md', configurationPage()],
  ['.env.example', envExample()],
] as const;

function current(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

const check = process.argv.includes('--check');
for (const [path, text] of files.filter(([name, wanted]) => current(name) !== wanted)) {
  if (check) {
    console.error(`${path} is stale: run ${REGENERATE}`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, text);
  }
}
