/** `npm run admin -- COMMAND …`: builds if needed, then runs src/admin.ts here. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, root } from './build.mjs';

await build();
await import(pathToFileURL(join(root, 'dist', 'src', 'admin.js')).href);
