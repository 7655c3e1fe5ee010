/**
 * Bundles web/ into files that a browser may keep for ever, because their names hold a hash of their content, and a page
 * that names them. Types are checked by `npm run types`.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

/** @param out an empty or missing directory */
export async function buildWeb(root, out) {
  const web = join(root, 'web');
  mkdirSync(out, { recursive: true });
  const script = await bundle(web, out);
  const style = readdirSync(join(web, 'style'))
    .sort()
    .map((name) => readFileSync(join(web, 'style', name), 'utf8'))
    .join('\n');
  const page = readFileSync(join(web, 'index.html'), 'utf8')
    .replace('main.js', script)
    .replace('style.css', keep(out, 'style', '.css', style))
    .replace('icon.svg', keep(out, 'icon', '.svg', readFileSync(join(web, 'icon.svg'))));
  writeFileSync(join(out, 'index.html'), page);
}

/** The status page, of which the metrics port serves three files by fixed names. @param out an empty or missing directory */
export async function buildStatus(root, out) {
  const source = join(root, 'web', 'status');
  mkdirSync(out, { recursive: true });
  for (const name of ['index.html', 'status.css']) copyFileSync(join(source, name), join(out, name));
  const build = await rolldown({
    input: join(source, 'status.ts'),
    platform: 'browser',
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
  });
  try {
    await build.write({ file: join(out, 'status.js'), format: 'esm', minify: true });
  } finally {
    await build.close();
  }
}

/** @returns the name of the entry; what is imported later is a file of its own */
async function bundle(web, out) {
  const build = await rolldown({
    input: { main: join(web, 'src/main.ts') },
    platform: 'browser',
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
    // The encoder comes in a form without `eval`, which the page forbids.
    treeshake: true,
  });
  try {
    const { output } = await build.write({
      dir: out,
      format: 'esm',
      minify: true,
      entryFileNames: '[name]-[hash].js',
      chunkFileNames: '[name]-[hash].js',
    });
    return output.find((chunk) => chunk.type === 'chunk' && chunk.isEntry).fileName;
  } finally {
    await build.close();
  }
}

function keep(out, name, extension, content) {
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 10);
  writeFileSync(join(out, `${name}-${hash}${extension}`), content);
  return `${name}-${hash}${extension}`;
}
