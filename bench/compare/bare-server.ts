/**
 * Baseline: uWebSockets.js alone, in one thread. The same frames over the same kind of topics, but nothing is stored: a message is
 * numbered, acknowledged and published in the turn in which it came. What is left of it is what a durable server can at best reach.
 */

import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import { createRequire } from 'node:module';
import { asMembers } from '../load/frame-read.js';
import { ackFrame, joinedFrame, newMessageFrame, nextNumbers, welcomeFrame } from './baseline-frames.js';
import { type Account, answerText, bearer, createRoomBook, readClientFrame } from './room-book.js';

const uWS = createRequire(import.meta.url)('uWebSockets.js') as typeof import('uWebSockets.js');

/** So much that no burst is dropped: a lost frame would end the run. */
const MAX_BACKPRESSURE_BYTES = 16 * 1_048_576;
const MAX_FRAME_BYTES = 524_288;

const book = createRoomBook();

function readBody(response: HttpResponse, done: (text: string) => void): void {
  const chunks: Buffer[] = [];
  response.onData((chunk, isLast) => {
    // uWebSockets takes the chunk back when this returns.
    chunks.push(Buffer.from(new Uint8Array(chunk)));
    if (isLast) done(Buffer.concat(chunks).toString('utf8'));
  });
}

function rest(response: HttpResponse, request: HttpRequest): void {
  let isAborted = false;
  response.onAborted(() => {
    isAborted = true;
  });
  const method = request.getMethod().toUpperCase();
  const path = request.getUrl().slice('/api/v1'.length);
  const token = bearer(request.getHeader('authorization'));
  readBody(response, (text) => {
    if (isAborted) return;
    const answer = book.answer(method, path, token, asMembers(text === '' ? {} : JSON.parse(text)));
    response.cork(() => {
      response.writeStatus(String(answer.status)).writeHeader('content-type', 'application/json');
      response.end(answerText(answer));
    });
  });
}

const app = uWS
  .App()
  .ws<{ account: Account }>('/api/v1/ws', {
    maxBackpressure: MAX_BACKPRESSURE_BYTES,
    maxPayloadLength: MAX_FRAME_BYTES,
    sendPingsAutomatically: true,
    upgrade(response, request, context) {
      const account = book.accountOf(bearer(request.getHeader('authorization')));
      if (account === undefined) {
        response.writeStatus('401').end();
        return;
      }
      response.upgrade(
        { account },
        request.getHeader('sec-websocket-key'),
        request.getHeader('sec-websocket-protocol'),
        request.getHeader('sec-websocket-extensions'),
        context,
      );
    },
    open(socket) {
      socket.send(JSON.stringify(welcomeFrame(socket.getUserData().account)));
    },
    message(socket, bytes) {
      const { account } = socket.getUserData();
      const request = readClientFrame(asMembers(JSON.parse(Buffer.from(bytes).toString('utf8'))));
      if (request === undefined) return;
      const room = book.roomOf('join' in request ? request.join.roomId : request.send.roomId);
      if (room === undefined) return;
      if ('join' in request) {
        socket.subscribe(room.id);
        socket.send(JSON.stringify(joinedFrame(room, request.join.ref)));
        return;
      }
      const numbers = nextNumbers(room);
      app.publish(room.id, JSON.stringify(newMessageFrame(request.send, account, numbers)));
      socket.send(JSON.stringify(ackFrame(request.send, numbers)));
    },
  })
  .any('/*', rest)
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) throw new Error('no port to listen on');
    console.log(
      JSON.stringify({ level: 'info', event: 'listening', port: uWS.us_socket_local_port(socket) }),
    );
  });

process.once('SIGTERM', () => process.exit(0));
