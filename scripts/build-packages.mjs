/**
 * Bundles packages for what is built to find before those in node_modules: one that comes as many small modules, and
 * one that needs mending.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { mendPostgres } from './mend-postgres.mjs';

const PACKAGES = [
  // 683 modules, which every thread of every process would open and link: 0.6 of the 2.9 s of CPU time of a start, and 30 MB.
  { name: 'typebox', entries: { index: 'typebox', compile: 'typebox/compile' }, terms: 'license' },
  { name: 'postgres', entries: { index: 'postgres' }, plugins: [mendPostgres()], terms: 'README.md' },
];

/** @param out the directory within which the compiled modules lie */
export async function buildPackages(root, out) {
  for (const each of PACKAGES) await buildPackage(root, join(out, 'node_modules', each.name), each);
}

async function buildPackage(root, dir, { name, entries, plugins = [], terms }) {
  const installed = join(root, 'node_modules', name);
  const { version, license } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  const paths = Object.keys(entries).map((entry) => [
    entry === 'index' ? '.' : `./${entry}`,
    `./${entry}.mjs`,
  ]);
  const manifest = { name, version, license, type: 'module', exports: Object.fromEntries(paths) };
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'package.json'), JSON.stringify(manifest));
  copyFileSync(join(installed, terms), join(dir, terms)); // with its licence
  const build = await rolldown({ cwd: root, input: entries, platform: 'node', plugins });
  try {
    await build.write({ dir, format: 'esm', entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' });
  } finally {
    await build.close();
  }
}
