/**
 * `npm run check:api [-- OPTION…]`: runs schemathesis (PyPI; `schemathesis` on the PATH, or SCHEMATHESIS) against a
 * server of its own with a database of its own: every operation of the OpenAPI document, with valid and invalid input,
 * and each answer compared with the document. The options go to schemathesis; its exit code is given back.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build, root } from './build.mjs';

const schemathesis = process.env.SCHEMATHESIS ?? 'schemathesis';
if (spawnSync(schemathesis, ['--version']).status !== 0) {
  console.error('schemathesis is not here: pip install schemathesis');
  process.exit(1);
}
process.chdir(root);
await build();
const directory = mkdtempSync(join(tmpdir(), 'parley-api-'));
const server = spawn(process.execPath, ['dist/src/main.js'], {
  env: {
    ...process.env,
    SERVER_PORT: '0',
    METRICS_PORT: '0',
    DATA_DIR: directory,
    RATE_LIMIT_PER_MINUTE: '0',
    AUTH_RATE_LIMIT_PER_MINUTE: '0',
    PASSWORD_HASH_MEMORY_KIB: '1024',
    PASSWORD_HASH_PASSES: '1',
  },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const serverErrors = [];
const port = await new Promise((resolve, reject) => {
  server.once('exit', (code) => reject(new Error(`the server exited with ${code}`)));
  createInterface({ input: server.stdout }).on('line', (line) => {
    const entry = JSON.parse(line);
    if (entry.level === 'error' || entry.level >= 50) serverErrors.push(line);
    if (entry.event === 'listening') resolve(entry.port);
  });
});

const base = `http://127.0.0.1:${port}/api/v1`;
const registered = await fetch(`${base}/auth/register`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    username: 'schemathesis',
    email: 'schemathesis@example.org',
    password: 'correct horse',
  }),
});
const { token } = (await registered.json()).data;

// What ends the session would end the run; what a schema can't say (a direct room has no name, a message needs a text or an
// attachment) is refused with 400 although the schema takes it.
const config = join(directory, 'schemathesis.toml');
writeFileSync(config, '[checks]\npositive_data_acceptance.enabled = false\n');
const run = spawn(
  schemathesis,
  [
    '--config-file',
    config,
    'run',
    `${base}/openapi.json`,
    '-H',
    `Authorization: Bearer ${token}`,
    ...['logout', 'delete_me'].flatMap((operation) => ['--exclude-operation-id', operation]),
    '--continue-on-failure',
    ...process.argv.slice(2),
  ],
  { stdio: 'inherit' },
);
const code = await new Promise((resolve) => run.once('exit', resolve));
server.removeAllListeners('exit');
server.kill('SIGTERM');
await new Promise((resolve) => server.once('exit', resolve));
rmSync(directory, { recursive: true, force: true });
for (const line of serverErrors) console.error(line);
process.exitCode = serverErrors.length > 0 ? 1 : (code ?? 1);
