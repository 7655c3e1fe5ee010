/** `npm run migrate -- up|down [--all]|status|create NAME`: builds if needed, then runs src/migrate.ts here. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, root } from './build.mjs';

await build();
await import(pathToFileURL(join(root, 'dist', 'src', 'migrate.js')).href);
