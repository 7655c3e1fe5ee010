/** `node scripts/grafana.mjs [--check]`: builds if needed, then writes the dashboards and Prometheus' rules. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, root } from './build.mjs';

process.chdir(root);
await build();
const { main } = await import(pathToFileURL(join(root, 'dist', 'scripts', 'grafana', 'write.js')).href);
main(process.argv.includes('--check'));
