import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config.js';
import { JWT_SECRET_MIN_BYTES } from '../config-settings.js';

const FILE_NAME = 'jwt-secret'; // in DATA_DIR
const SECRET_BYTES = 48; // 1.5 times what HS256 needs; 64 characters of base64url
const OWNER_ONLY = 0o600;

/**
 * The key of access tokens: JWT_SECRET, or one made once in DATA_DIR and kept there, so that tokens outlive a
 * restart. Several servers starting at once agree on one.
 *
 * @throws where DATA_DIR can't be used, or the kept secret is damaged (nothing is overwritten)
 */
export async function loadJwtSecret(config: Pick<Config, 'jwt' | 'dataDir'>): Promise<string> {
  if (config.jwt.secret !== null) return config.jwt.secret;
  const path = join(config.dataDir, FILE_NAME);
  const kept = (await readIfThere(path)) ?? (await createSecret(config.dataDir, path));
  if (Buffer.byteLength(kept) < JWT_SECRET_MIN_BYTES) {
    throw new Error(
      `${path} holds fewer than ${JWT_SECRET_MIN_BYTES} bytes; remove it to have a new one made`,
    );
  }
  return kept;
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Writes a file aside and links it into place: `path` appears whole, and the first of several writers wins. */
async function createSecret(dataDir: string, path: string): Promise<string> {
  await mkdir(dataDir, { recursive: true });
  const draft = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const file = await open(draft, 'wx', OWNER_ONLY);
  try {
    await file.writeFile(`${randomBytes(SECRET_BYTES).toString('base64url')}\n`);
    await file.sync();
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await file.close();
    await unlink(draft);
  }
  return (await readFile(path, 'utf8')).trim();
}
