/**
 * `npm run attachments:orphans -- [--remove] [--older-than HOURS]`: lists the files in storage that no row of the database
 * names, by storage key, and removes them if told to. Exits 0, 1 (failed), 64 (usage) or 78 (settings).
 */
import { parseArgs } from 'node:util';
import { openStorage } from '../src/attachments/open-storage.js';
import { loadConfig, readDotEnv } from '../src/config.js';
import { JWT_SECRET_MIN_BYTES } from '../src/config-settings.js';
import { removeBytes } from '../src/rooms/attachment-collector.js';
import { orphanedKeys } from '../src/rooms/attachment-orphans.js';
import { attachmentStore } from '../src/store/attachments.js';
import { openDatabase } from '../src/store/client.js';

const USAGE = 'usage: npm run attachments:orphans -- [--remove] [--older-than HOURS (25)]';
const EXIT_USAGE = 64; // sysexits.h EX_USAGE
const EXIT_CONFIG = 78; // sysexits.h EX_CONFIG
const HOUR_MS = 3_600_000;

interface Options {
  readonly remove: boolean;
  readonly olderThanMs: number;
}

function readOptions(): Options | null {
  try {
    const { values } = parseArgs({
      options: {
        remove: { type: 'boolean', default: false },
        'older-than': { type: 'string', default: '25' }, // longer than anything stays unattached
      },
    });
    const hours = Number(values['older-than']);
    return hours >= 0 ? { remove: values.remove, olderThanMs: hours * HOUR_MS } : null;
  } catch {
    return null;
  }
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options === null) {
    console.error(USAGE);
    return EXIT_USAGE;
  }
  readDotEnv();
  const secret = process.env.JWT_SECRET || 'x'.repeat(JWT_SECRET_MIN_BYTES); // nothing is signed here
  const loaded = loadConfig({ ...process.env, JWT_SECRET: secret });
  if (!loaded.ok || loaded.config.database === null) {
    for (const mistake of loaded.ok ? ['DATABASE_URL is needed'] : loaded.mistakes) console.error(mistake);
    return EXIT_CONFIG;
  }
  const { config } = loaded;
  const db = openDatabase(loaded.config.database.url, 1, 'parley-orphans');
  const { storage } = await openStorage(config, secret);
  try {
    const before = new Date(Date.now() - options.olderThanMs);
    let count = 0;
    for await (const key of orphanedKeys(storage, attachmentStore(db), before)) {
      if (options.remove) await removeBytes(storage, key);
      console.log(key);
      count++;
    }
    console.error(`${count} ${options.remove ? 'removed' : 'found'}`);
    return 0;
  } finally {
    storage.close();
    await db.end();
  }
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(error);
  return 1;
});
