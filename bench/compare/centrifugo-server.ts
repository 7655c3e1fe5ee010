/**
 * Centrifugo as it is for one node: the memory engine, history in every channel, subscriptions positioned and recoverable, so that
 * each publication has an offset and a gap ends the subscription. Accounts are JWTs; clients publish by themselves.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import { freePort } from '../../src/lib/free-port.js';
import { asMembers, asNumber } from '../load/frame-read.js';
import { peerPrograms } from './go-peers.js';
import { servePeer } from './peer-server.js';
import { startProgram, whenReady } from './program.js';

/** Messages that a channel remembers, and how long: many more than a burst, for what a client that comes back has missed. */
const HISTORY_SIZE = 1_000;
const HISTORY_TTL = '300s';

/** As much as the bare baseline: so much that no burst ends a connection. */
const MAX_QUEUE_BYTES = 16 * 1_048_576;

const [binary = ''] = peerPrograms('centrifugo');
const port = await freePort({ host: '127.0.0.1', port: 0 });
const secret = randomBytes(24).toString('hex');
const apiKey = randomBytes(24).toString('hex');
const directory = process.env.DATA_DIR ?? '.';
const configFile = join(directory, 'centrifugo.json');
writeFileSync(
  configFile,
  JSON.stringify({
    http_server: { address: '127.0.0.1', port },
    log: { level: 'warn' },
    client: { token: { hmac_secret_key: secret }, queue_max_size: MAX_QUEUE_BYTES },
    http_api: { key: apiKey },
    channel: {
      without_namespace: {
        history_size: HISTORY_SIZE,
        history_ttl: HISTORY_TTL,
        force_positioning: true,
        force_recovery: true,
        allow_subscribe_for_client: true,
        allow_publish_for_subscriber: true,
      },
    },
  }),
);

/** Calls the server's HTTP API. @throws Error with its answer when it isn't a result. */
async function call(method: string, body: object) {
  const response = await fetch(`http://127.0.0.1:${port}/api/${method}`, {
    method: 'POST',
    headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  const { result, error } = asMembers(JSON.parse(text));
  if (result === undefined || error !== undefined) throw new Error(`${method}: ${text}`);
  return asMembers(result);
}

const program = startProgram(binary, ['--config', configFile], process.stderr.fd, directory);
await whenReady(program, () =>
  call('info', {}).then(
    () => true,
    () => false,
  ),
);

servePeer(
  {
    socketUrl: `http://127.0.0.1:${port}/connection/websocket`,
    register(username) {
      const token = jwt.sign({ sub: username }, secret, { expiresIn: '1d' });
      return Promise.resolve({ id: username, token });
    },
    // A channel is there as soon as somebody names it.
    makeRoom: () => Promise.resolve(randomUUID()),
    async headOf(channel) {
      // Where the stream stands, without what is in it.
      const { offset } = await call('history', { channel, limit: 0 });
      return asNumber(offset) ?? 0;
    },
    stop: () => program.stop(),
  },
  program,
);
