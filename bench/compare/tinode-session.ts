/** A session of Tinode's for the set-up: one request after the other. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { FIRST_ERROR_CODE, TINODE_PROTOCOL } from '../load/dialect-tinode.js';
import { asMembers, asNumber, asString, type Members } from '../load/frame-read.js';

export interface TinodeSession {
  /** @returns the `ctrl` that answers. @throws Error with it when it is none of success. */
  ask(request: string, body: Members): Promise<Members>;
  close(): void;
}

/** Says hello, and logs in where a token is given. @param url with `http:` for `ws:`. */
export async function openTinodeSession(url: string, token?: string): Promise<TinodeSession> {
  const socket = new WebSocket(url.replace(/^http:/, 'ws:'));
  const waiting = new Map<string, { resolve: (ctrl: Members) => void; reject: (error: Error) => void }>();
  let asked = 0;

  socket.on('message', (data) => {
    const ctrl = asMembers(asMembers(JSON.parse(String(data))).ctrl);
    const id = asString(ctrl.id) ?? '';
    const code = asNumber(ctrl.code) ?? 0;
    if (code < FIRST_ERROR_CODE) waiting.get(id)?.resolve(ctrl);
    else waiting.get(id)?.reject(new Error(JSON.stringify(ctrl)));
    waiting.delete(id);
  });
  socket.on('close', () => {
    for (const { reject } of waiting.values()) reject(new Error('the session ended'));
  });
  await once(socket, 'open');

  const session: TinodeSession = {
    ask(request, body) {
      asked += 1;
      const id = String(asked);
      socket.send(JSON.stringify({ [request]: { id, ...body } }));
      return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
    },
    close: () => socket.close(),
  };
  await session.ask('hi', { ver: TINODE_PROTOCOL, ua: 'bench' });
  if (token !== undefined) await session.ask('login', { scheme: 'token', secret: token });
  return session;
}
