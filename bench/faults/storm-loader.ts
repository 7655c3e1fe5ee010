/** A process of many clients, who connect when told to and go on from where they were: see storm.ts. */
import { WebSocket } from 'ws';

const RETRY_MS = 1_000; // with chance, as clients do whose server has died
const HANDSHAKE_MS = 30_000;

export interface StormOrder {
  readonly origin: string;
  readonly tokens: readonly string[];
  readonly room: string;
  readonly clients: number;
}

export interface StormReport {
  /** For each client, milliseconds from the order until it had joined with everything it had missed. */
  readonly joinedMs: readonly number[];
  readonly attempts: number;
  /** The rev at which each stands, lowest and highest. */
  readonly revs: readonly [low: number, high: number];
}

interface Member {
  rev: number;
  socket: WebSocket | null;
}

const members: Member[] = [];

function connectAll(order: StormOrder): Promise<StormReport> {
  const begun = performance.now();
  const joinedMs: number[] = [];
  let attempts = 0;
  while (members.length < order.clients) members.push({ rev: 0, socket: null });

  function connect(member: Member, index: number, done: () => void): void {
    attempts++;
    const token = order.tokens[index % order.tokens.length] ?? '';
    const url = `${order.origin.replace('http', 'ws')}/api/v1/ws`;
    const socket = new WebSocket(url, ['parley.json', `bearer.${token}`], {
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_MS,
    });
    member.socket = socket;
    let joined = false;
    const join = () =>
      socket.send(
        JSON.stringify({ type: 'join_room', room_id: order.room, ref: 1, payload: { since: member.rev } }),
      );
    socket.on('error', () => undefined);
    socket.on('open', join);
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as {
        type: string;
        rev?: number;
        payload: { head_rev?: number };
      };
      if (frame.type === 'joined' && !joined) {
        joined = true;
        member.rev = frame.payload.head_rev ?? 0;
        joinedMs.push(performance.now() - begun);
        done();
      } else if (frame.type === 'error') setTimeout(join, RETRY_MS * Math.random());
      else if (frame.rev !== undefined) member.rev = Math.max(member.rev, frame.rev);
    });
    socket.on('close', () => {
      if (!joined) setTimeout(() => connect(member, index, done), RETRY_MS * Math.random());
    });
  }

  return new Promise((resolve) => {
    let left = members.length;
    const done = () => {
      if (--left > 0) return;
      const revs = members.map(({ rev }) => rev);
      const range = [revs.reduce((a, b) => Math.min(a, b)), revs.reduce((a, b) => Math.max(a, b))] as const;
      resolve({ joinedMs, attempts, revs: range });
    };
    for (const [index, member] of members.entries()) connect(member, index, done);
  });
}

process.on('message', (order: StormOrder) => {
  void connectAll(order).then((report) => process.send?.(report));
});
process.on('disconnect', () => process.exit(0));
