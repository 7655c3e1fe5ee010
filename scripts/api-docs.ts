/**
 * Writes docs/openapi.json and docs/asyncapi.json. With `--check` it writes nothing and exits 1 where either is
 * stale. It does neither where a route or a frame lacks a schema, a description or a list of errors: it says which and
 * exits 1.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { apiDocuments } from '../src/docs/documents.js';
import { documentedTables, documentGaps } from '../src/docs/gaps.js';

const gaps = documentGaps(documentedTables());
for (const gap of gaps) console.error(gap);
if (gaps.length > 0) process.exit(1);

const { openapi, asyncapi } = apiDocuments();
const files = { 'docs/openapi.json': openapi, 'docs/asyncapi.json': asyncapi };

for (const [file, text] of Object.entries(files)) {
  if (!process.argv.includes('--check')) writeFileSync(file, text);
  else if (read(file) !== text) {
    console.error(`${file} is stale: run npm run docs:api`);
    process.exitCode = 1;
  }
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
