/**
 * What stands before another project's server: the REST calls that the loader's set-up makes, done as that server has them done. The
 * sockets go to the server itself, whose address is told beside that of the calls.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { asMembers, asString } from '../load/frame-read.js';
import type { Program } from './program.js';
import { type Answer, answerText, bearer } from './room-book.js';

export interface Peer {
  /** Where the loader's sockets go, with `http:` for `ws:`. */
  readonly socketUrl: string;
  /** @returns the token with which a socket says who it is. */
  register(username: string): Promise<{ id: string; token: string }>;
  /** Makes a room that every account may join. @returns its id, a UUID. */
  makeRoom(token: string, name: string): Promise<string>;
  /** The number of the room's newest message, as the server keeps it; 0: none. */
  headOf(roomId: string): Promise<number>;
  stop(): Promise<void>;
}

async function answer(peer: Peer, request: IncomingMessage): Promise<Answer> {
  const sent = await text(request);
  const body = asMembers(sent === '' ? {} : JSON.parse(sent));
  const [collection, id = '', below] = (request.url ?? '').slice('/api/v1/'.length).split('/');
  const call = `${request.method} ${collection}`;
  if (call === 'POST auth') {
    const { id: userId, token } = await peer.register(asString(body.username) ?? '');
    return { status: 201, data: { user: { id: userId }, token } };
  }
  if (call === 'POST rooms' && below === 'members') return { status: 201, data: {} };
  if (call === 'POST rooms') {
    const roomId = await peer.makeRoom(bearer(request.headers.authorization), asString(body.name) ?? '');
    return { status: 201, data: { id: roomId, head_seq: 0, head_rev: 0 } };
  }
  if (call === 'GET rooms') {
    const head = await peer.headOf(id);
    return { status: 200, data: { id, head_seq: head, head_rev: head } };
  }
  return { status: 404, data: {} };
}

async function respond(peer: Peer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const told = await answer(peer, request).catch((error: unknown): Answer => {
    console.error(error);
    return { status: 500, data: {} };
  });
  response.writeHead(told.status, { 'content-type': 'application/json' });
  response.end(answerText(told));
}

/** Listens on a free port and says so on stdout, as the server does; ends with 0 on SIGTERM, with 1 when the peer's program ends. */
export function servePeer(peer: Peer, program: Program): void {
  const http = createServer((request, response) => {
    respond(peer, request, response).catch(() => response.destroy());
  });
  program.failed.catch((error: Error) => {
    console.error(error.message);
    process.exit(1);
  });
  process.once('SIGTERM', () => {
    http.close();
    void peer.stop().finally(() => process.exit(0));
  });
  http.listen(0, '127.0.0.1', () => {
    const address = http.address();
    const port = address === null || typeof address === 'string' ? 0 : address.port;
    console.log(JSON.stringify({ level: 'info', event: 'listening', port, socket_url: peer.socketUrl }));
  });
}
