import type { Config, StorageConfig } from '../config.js';
import { type GrantSigner, grantSigner } from './local-links.js';
import { type LocalStorage, localStorage } from './local-storage.js';
import { s3Links } from './s3-links.js';
import type { LinkSigner, ObjectStorage } from './storage-port.js';

type LocalConfig = Extract<StorageConfig, { type: 'local' }>;

/** The storage that the settings name. `local` is set where it is this server's own disk. */
export async function openStorage(
  config: Config,
  jwtSecret: string,
): Promise<{ readonly storage: ObjectStorage & LinkSigner; readonly local: LocalStorage | null }> {
  if (config.storage.type === 'local') {
    const local = openLocal(config.storage, config, jwtSecret);
    return { storage: local, local };
  }
  const { s3Storage } = await import('./s3-storage.js');
  return { storage: s3Storage(config.storage), local: null };
}

/** Only the links of that storage. */
export function openLinks(config: Config, jwtSecret: string): LinkSigner {
  const { storage } = config;
  return storage.type === 'local' ? openLocal(storage, config, jwtSecret) : s3Links(storage);
}

/** Signs the links to local storage. */
export function linkSigner({ jwt }: Config, jwtSecret: string): GrantSigner {
  return grantSigner(jwtSecret, jwt.previousSecrets);
}

function openLocal({ directory }: LocalConfig, config: Config, jwtSecret: string): LocalStorage {
  return localStorage(directory, linkSigner(config, jwtSecret), config.attachments.publicUrl);
}
