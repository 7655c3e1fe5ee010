/**
 * `node dist/src/health-check.js`: the image's HEALTHCHECK. Asks the server beside it whether it is alive, by the same
 * settings. Exits 0, or 1 with the reason on stderr.
 */
import { request as plain } from 'node:http';
import { request as overTls } from 'node:https';

const TIMEOUT_MS = 2_500; // Docker's is 3 s
const EVERY_ADDRESS = ['0.0.0.0', '::'];

const { SERVER_HOST, SERVER_PORT, TLS_CERT_FILE } = process.env;
const at = {
  host: SERVER_HOST && !EVERY_ADDRESS.includes(SERVER_HOST) ? SERVER_HOST : '127.0.0.1',
  port: SERVER_PORT || 8080,
  path: '/api/v1/health/live',
  timeout: TIMEOUT_MS,
};
// The certificate is for the name that clients use, and may be one that only they trust.
const asked = TLS_CERT_FILE ? overTls({ ...at, rejectUnauthorized: false }) : plain(at);

asked.on('response', ({ statusCode }) => end(statusCode === 200 ? null : `answered ${statusCode}`));
asked.on('timeout', () => end('no answer'));
asked.on('error', ({ message }) => end(message));
asked.end();

function end(reason: string | null): void {
  if (reason !== null) process.stderr.write(`${reason}\n`);
  process.exit(reason === null ? 0 : 1);
}
