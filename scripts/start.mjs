/** `npm start`: builds if needed, then is the server: one process, so that a signal meant for it reaches it. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, root } from './build.mjs';

await build();
await import(pathToFileURL(join(root, 'dist', 'src', 'main.js')).href);
