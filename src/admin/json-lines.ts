import { open, unlink } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

const OWNER_ONLY = 0o600; // what people wrote

/**
 * Writes records into a new file, a line of JSON each, no faster than the disk takes them. A file that isn't whole
 * is removed.
 *
 * @returns how many records there were
 * @throws where the file exists or can't be written, and what `batches` throws
 */
export async function writeJsonLines(
  path: string,
  batches: AsyncIterable<readonly unknown[]>,
): Promise<number> {
  let written = 0;
  async function* lines(): AsyncGenerator<string> {
    for await (const batch of batches) {
      written += batch.length;
      if (batch.length > 0) yield `${batch.map((record) => JSON.stringify(record)).join('\n')}\n`;
    }
  }
  const file = await open(path, 'wx', OWNER_ONLY);
  try {
    await pipeline(lines, file.createWriteStream({ flush: true }));
    return written;
  } catch (error) {
    await unlink(path);
    throw error;
  }
}
