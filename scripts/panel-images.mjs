/** `node scripts/panel-images.mjs`: builds if needed, then draws panels of a real load run into docs/images. Needs Prometheus. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, root } from './build.mjs';

process.chdir(root);
await build();
const { main } = await import(pathToFileURL(join(root, 'dist', 'scripts', 'grafana', 'images.js')).href);
await main();
