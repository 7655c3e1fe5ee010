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
    UPLOADS_PER_MINUTE: '0',
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
async function post(path, token, body) {
  const response = await fetch(`${base}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  });
  return (await response.json()).data;
}

/** Somebody with a room, a message and an announced file; nobody else may remove them. */
async function scene(name) {
  const account = (username) =>
    post('/auth/register', null, { username, email: `${username}@example.org`, password: 'correct horse' });
  const { token } = await account(name);
  const other = await account(`${name}-too`);
  const room = await post('/rooms', token, { name: 'checked', type: 'public', member_ids: [other.user.id] });
  const message = await post(`/rooms/${room.id}/messages`, token, { content: 'checked' });
  const file = { file_name: 'a.txt', file_type: 'text/plain', file_size: 3 };
  const { attachment } = await post(`/rooms/${room.id}/attachments/presign`, token, file);
  const ids = {
    roomId: room.id,
    messageId: message.id,
    attachmentId: attachment.id,
    userId: other.user.id,
  };
  return { token, ids };
}

// What a schema can't say (a direct room has no name, a message needs a text or an attachment) is refused with 400
// although the schema takes it.
const CHECKS = '[checks]\npositive_data_acceptance.enabled = false\n';
// Where ids are given they stand in place of those that links lead to: what was made is not what is asked about.
const NO_LINKS = '[phases.stateful]\nenabled = false\n';

/** Excluded operations would end the session or remove what the others are about. */
function run({ token }, config, excluded) {
  const file = join(directory, 'schemathesis.toml');
  writeFileSync(file, config);
  const options = [
    '--config-file',
    file,
    'run',
    `${base}/openapi.json`,
    '-H',
    `Authorization: Bearer ${token}`,
  ];
  const without = excluded.flatMap((operation) => ['--exclude-operation-id', operation]);
  const child = spawn(
    schemathesis,
    [...options, ...without, '--continue-on-failure', ...process.argv.slice(2)],
    { stdio: 'inherit' },
  );
  return new Promise((resolve) => child.once('exit', resolve));
}

const ending = ['logout', 'delete_me', 'end_session', 'change_password'];
const removing = [
  'delete_room',
  'leave_room',
  'remove_member',
  'ban_user',
  'delete_message',
  'delete_attachment',
];
// Once with ids of all kinds, and once with those of what is there, which the first run could not remove.
const [all, there] = [await scene('schemathesis'), await scene('somebody')];
const parameters = Object.entries(there.ids).map(([name, id]) => `"path.${name}" = "${id}"\n`);
const codes = [
  await run(all, CHECKS, ending),
  await run(there, `${CHECKS}${NO_LINKS}[parameters]\n${parameters.join('')}`, [...ending, ...removing]),
];
const code = codes.find((each) => each !== 0) ?? 0;
server.removeAllListeners('exit');
server.kill('SIGTERM');
await new Promise((resolve) => server.once('exit', resolve));
rmSync(directory, { recursive: true, force: true });
for (const line of serverErrors) console.error(line);
process.exitCode = serverErrors.length > 0 ? 1 : code;
