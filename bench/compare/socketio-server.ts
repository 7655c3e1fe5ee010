/** What the two Socket.IO baselines share: the loader's frames as the argument of the event `frame`, in one process. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { Server, type ServerOptions } from 'socket.io';
import { asMembers, asString } from '../load/frame-read.js';
import { ackFrame, joinedFrame, newMessageFrame, nextNumbers, welcomeFrame } from './baseline-frames.js';
import { type Account, answerText, bearer, createRoomBook, readClientFrame, type Sent } from './room-book.js';
import type { Storage } from './storage.js';

interface Baseline {
  readonly storage: Storage;
  readonly options: Partial<ServerOptions>;
  readonly stop: () => Promise<void>;
}

type Acknowledge = (frame: unknown) => void;

/** Listens on a free port and says so on stdout, as the server does; ends with 0 on SIGTERM. */
export async function serveSocketIo({ storage, options, stop }: Baseline): Promise<void> {
  const book = createRoomBook();

  async function rest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sent = await text(request);
    const path = (request.url ?? '').slice('/api/v1'.length);
    const token = bearer(request.headers.authorization);
    const body = asMembers(sent === '' ? {} : JSON.parse(sent));
    const answer = book.answer(request.method ?? '', path, token, body);
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.end(answerText(answer));
  }

  const http = createServer((request, response) => {
    rest(request, response).catch(() => response.destroy());
  });
  const io = new Server(http, { transports: ['websocket'], serveClient: false, ...options });

  io.use((socket, next) => {
    const account = book.accountOf(asString(asMembers(socket.handshake.auth).token) ?? '');
    if (account === undefined) next(new Error('unauthenticated'));
    else {
      socket.data = { account };
      next();
    }
  });

  async function send(sent: Sent, account: Account, acknowledge: Acknowledge): Promise<void> {
    await storage.insert(sent, account);
    const room = book.roomOf(sent.roomId);
    if (room === undefined) return;
    // Numbered once it is in, so that what leaves is in order whatever order the inserts end in.
    const numbers = nextNumbers(room);
    io.to(room.id).emit('frame', newMessageFrame(sent, account, numbers));
    acknowledge(ackFrame(sent, numbers));
  }

  io.on('connection', (socket) => {
    const { account } = socket.data as { account: Account };
    socket.on('frame', (frame: unknown, acknowledge: Acknowledge) => {
      const request = readClientFrame(asMembers(frame));
      if (request === undefined) return;
      if ('send' in request) {
        send(request.send, account, acknowledge).catch((error: unknown) => {
          console.error(error);
        });
        return;
      }
      const room = book.roomOf(request.join.roomId);
      if (room === undefined) return;
      void socket.join(room.id);
      socket.emit('frame', joinedFrame(room, request.join.ref));
    });
    socket.emit('frame', welcomeFrame(account));
  });

  process.once('SIGTERM', () => {
    void io
      .close()
      .then(stop)
      .finally(() => process.exit(0));
  });
  http.listen(0, '127.0.0.1', () => {
    const address = http.address();
    const port = address === null || typeof address === 'string' ? 0 : address.port;
    console.log(JSON.stringify({ level: 'info', event: 'listening', port }));
  });
}
