/**
 * `node scripts/client-size.mjs`: what the built client weighs as a browser gets it, bundled, minified and compressed. With all
 * that is public, and with what a chat page imports.
 */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { build, root } from './build.mjs';

const ENTRY = join(root, 'dist', 'client', 'src', 'index.js');

/** Bytes after gzip of a module that exports `names` of the client; `*` is all. */
export async function clientSize(names) {
  const source = `export ${names === '*' ? '*' : `{ ${names.join(', ')} }`} from ${JSON.stringify(ENTRY)};`;
  const bundle = await rolldown({
    input: 'entry',
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === 'entry' ? id : null),
        load: (id) => (id === 'entry' ? source : null),
      },
    ],
  });
  try {
    const { output } = await bundle.generate({ format: 'esm', minify: true });
    const code = output.map((chunk) => (chunk.type === 'chunk' ? chunk.code : '')).join('');
    return gzipSync(code, { level: 9 }).length;
  } finally {
    await bundle.close();
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await build();
  for (const names of [
    '*',
    ['createClient', 'createSession'],
    ['createClient'],
    ['createHttp', 'createApi'],
  ]) {
    console.log(`${names === '*' ? 'everything' : names.join(' + ')}: ${await clientSize(names)} bytes`);
  }
}
