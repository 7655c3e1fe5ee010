import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

/** A WebSocket intermediary that says things twice. TCP never does; a proxy that retries, or a tab that replays, may. */
export interface DoublingProxy {
  readonly port: number;
  /** From now on each frame passes twice, one right behind the other, in both directions, on old and new connections. */
  readonly double: (on: boolean) => void;
  /** Frames that passed twice so far. */
  readonly doubled: () => number;
  readonly close: () => Promise<void>;
}

/** @param target asked at each connection: a restarted server has another port. It serves WebSockets only */
export async function startDoublingProxy(target: () => number): Promise<DoublingProxy> {
  let times = 1;
  let doubled = 0;

  const forward = (from: WebSocket, to: WebSocket): void => {
    from.on('message', (data, binary) => {
      if (to.readyState !== WebSocket.OPEN) return;
      if (times > 1) doubled++;
      for (let n = 0; n < times; n++) to.send(data, { binary });
    });
    from.on('error', () => undefined); // `close` follows
    from.on('close', (code, reason) => {
      // A code that was never sent over the wire can't be passed on over it.
      if (code === 1005 || code === 1006) to.terminate();
      else to.close(code, reason);
    });
  };

  const http = createServer((_request, response) => response.writeHead(404).end());
  const clients = new WebSocketServer({ noServer: true });
  http.on('upgrade', (request, socket, head) => {
    const { origin, authorization, 'sec-websocket-protocol': offered = '' } = request.headers;
    const protocols = offered.split(',').flatMap((each) => each.trim() || []);
    const headers = { ...(origin && { origin }), ...(authorization && { authorization }) };
    const server = new WebSocket(`ws://127.0.0.1:${target()}${request.url}`, protocols, { headers });
    server.on('error', () => socket.destroy());
    socket.on('error', () => server.terminate());
    socket.on('close', () => server.terminate());
    server.once('open', () => {
      server.pause(); // what it says first waits for the client
      if (server.protocol) request.headers['sec-websocket-protocol'] = server.protocol; // as it chose
      clients.handleUpgrade(request, socket, head, (client) => {
        forward(server, client);
        forward(client, server);
        server.resume();
      });
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));

  return {
    port: (http.address() as AddressInfo).port,
    double: (on) => {
      times = on ? 2 : 1;
    },
    doubled: () => doubled,
    close: async () => {
      for (const client of clients.clients) client.terminate();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
