/**
 * `npm run docs:sdk`: writes docs/sdk.md from the declarations and docstrings of all that client/src/index.ts exports. With
 * `--check` it writes nothing and exits 1 where the page is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from '@swc/core';
import { build, root } from './build.mjs';

const PAGE = join(root, 'docs', 'sdk.md');
const SOURCE = join(root, 'dist', 'client', 'src');

await build();
const page = sdkPage();
if (!process.argv.includes('--check')) writeFileSync(PAGE, page);
else if (readFileSync(PAGE, 'utf8') !== page) {
  console.error('docs/sdk.md is stale: npm run docs:sdk');
  process.exitCode = 1;
}

function sdkPage() {
  const index = readFileSync(join(SOURCE, 'index.d.ts'), 'utf8');
  const files = [...index.matchAll(/^export (?:type )?(?:\{([^}]*)\}|\*) from '\.\/(.*)\.js';/gm)];
  const sections = files
    .map(([, names, file]) => [
      file,
      names
        ?.split(',')
        .map((name) => name.trim().replace(/^type /, ''))
        .filter(Boolean),
    ])
    .flatMap(([file, names]) => sectionOf(file, names));
  return [
    '<!-- Generated from client/src by `npm run docs:sdk`: do not edit. -->',
    '',
    '# Reference of @parley/client',
    '',
    'All that the package exports, file by file, as its types say it. How to use it: [the client](../client/README.md),',
    '[quick start](quick-start.md). A docstring of a member stands above it.',
    '',
    ...sections,
  ].join('\n');
}

/** @param names that are public; undefined for all that the file exports */
function sectionOf(file, names) {
  const declared = declarations(readFileSync(join(SOURCE, `${file}.d.ts`), 'utf8'));
  const shown = (names ?? [...declared.keys()]).map((name) => {
    const { doc, code } = declared.get(name) ?? fail(`${file} declares no ${name}`);
    const said = doc === '' ? [] : [doc, ''];
    return [`### ${name}`, '', ...said, '```ts', code, '```', ''].join('\n');
  });
  return [`## ${file}`, '', ...shown];
}

/** What a declaration file exports, by name, in its order. */
function declarations(text) {
  const bytes = Buffer.from(text); // spans count bytes
  const { body, span } = parseSync(text, { syntax: 'typescript' });
  const found = new Map();
  // swc counts on over all it has parsed, and begins a module at its first statement.
  const base = (body[0]?.span.start ?? span.start) - bytes.indexOf(Buffer.from(firstStatement(text)));
  for (const item of body) {
    if (item.type !== 'ExportDeclaration') continue;
    const { declaration } = item;
    const named = declaration.identifier ?? declaration.id ?? declaration.declarations?.[0]?.id;
    const start = item.span.start - base;
    const code = bytes.subarray(start, item.span.end - base).toString();
    const before = bytes.subarray(0, start).toString().trimEnd();
    found.set(named.value, { doc: docBefore(before), code: tidy(code) });
  }
  return found;
}

function firstStatement(text) {
  return /^(?:import|export|interface|type|declare|class|const|function).*/m.exec(text)?.[0] ?? '';
}

function docBefore(text) {
  if (!text.endsWith('*/')) return '';
  const comment = text.slice(text.lastIndexOf('/**') + 3, -2);
  const lines = comment.split('\n').map((line) => line.replace(/^\s*\* ?/, '').trimEnd());
  if (lines.some((line) => /^ {4}/.test(line))) return ['```text', ...trimmed(lines), '```'].join('\n');
  return trimmed(lines.map((line) => line.trim()))
    .join('\n')
    .replace(/^@(\w+)/gm, '\n**$1:**')
    .trim();
}

function trimmed(lines) {
  const filled = lines.map((line) => line !== '');
  return lines.slice(filled.indexOf(true), filled.lastIndexOf(true) + 1);
}

function tidy(code) {
  return code
    .replace(/^export (?:declare )?/, '')
    .replace(/^ +#private;\n/m, '')
    .replace(/^( +)/gm, (spaces) => ' '.repeat(spaces.length / 2));
}

function fail(message) {
  throw new Error(message);
}
