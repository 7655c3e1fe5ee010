import { once } from 'node:events';
import { isIP, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { connectionError } from './connection-error.js';

/** What of `sslmode` reaches the store (config.ts). */
export type TlsMode = 'disable' | 'prefer' | 'require' | 'verify-full';

/** SSLRequest, and its answers (PostgreSQL's documentation, "SSL Session Encryption"). */
const REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const [ACCEPTED, REFUSED] = ['S', 'N'].map((answer) => answer.charCodeAt(0));

/**
 * Asks a server for TLS and begins it, as soon as its socket is connected.
 *
 * @param host whose certificate it has to be, with `verify-full`
 * @returns the socket to go on with: the same where the server has no TLS and the mode doesn't ask for it
 * @throws the socket's error, TLS's, ETIMEDOUT, or EPROTO for a server without TLS
 */
export async function beginTls(
  socket: Socket,
  host: string,
  mode: Exclude<TlsMode, 'disable'>,
  timeoutMs: number,
): Promise<Socket> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    await once(socket, 'connect', { signal });
    socket.write(REQUEST);
    const closed = once(socket, 'close', { signal }).then(() => [Buffer.alloc(0)]);
    const [answer] = (await Promise.race([once(socket, 'data', { signal }), closed])) as [Buffer];
    if (answer.length === 1 && answer[0] === REFUSED && mode === 'prefer') return socket;
    // What comes in the clear behind the answer isn't the server's (CVE-2021-23222).
    if (answer.length !== 1 || answer[0] !== ACCEPTED)
      throw connectionError('the server has no TLS', 'EPROTO');
    const name = isIP(host) === 0 ? { servername: host } : {};
    const secure = connect({
      socket,
      host,
      ...name,
      rejectUnauthorized: mode !== 'prefer' && mode !== 'require',
    });
    await once(secure, 'secureConnect', { signal });
    return secure;
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? connectionError(`no TLS within ${timeoutMs} ms`, 'ETIMEDOUT') : error;
  }
}
