/** Everybody connects at once, is cut off, and comes back at once with `resume`. */
import { vu } from 'k6/execution';
import type { Options } from 'k6/options';
import { WebSocket } from 'k6/websockets';
import { measures, TREND_STATS } from './measures.js';
import { makeScene, placeOf, type Scene, type User } from './scene.js';
import { ROOMS, SECONDS, SOCKET_URL, VUS } from './settings.js';

export { handleSummary } from './summary.js';

/** The second storm begins when the first must be over. */
const SECOND_STORM_MS = (SECONDS * 1_000) / 2;

export const options: Options = {
  setupTimeout: '10m',
  summaryTrendStats: TREND_STATS,
  thresholds: {
    socket_failures: ['count==0'],
    error_frames: ['count==0'],
    connect_time: [`max<${SECOND_STORM_MS}`],
    resume_time: [`max<${SECOND_STORM_MS}`],
    sockets_resumed: [`count==${VUS}`],
  },
  scenarios: {
    storm: {
      executor: 'per-vu-iterations',
      exec: 'connectTwice',
      vus: VUS,
      iterations: 1,
      maxDuration: `${SECONDS + 30}s`,
    },
  },
};

export function setup(): Scene {
  return makeScene(VUS, ROOMS);
}

interface Answer {
  readonly type: string;
  readonly payload?: { readonly head_rev?: number; readonly last?: boolean };
}

/** Opens a socket, sends `first` once welcomed, and hands each answer on. */
function open(user: User, first: unknown, answered: (answer: Answer, socket: WebSocket) => void): void {
  const socket = new WebSocket(SOCKET_URL, null, { headers: { authorization: `Bearer ${user.token}` } });
  socket.onmessage = (event) => {
    const answer = JSON.parse(String(event?.data)) as Answer;
    if (answer.type === 'welcome') socket.send(JSON.stringify(first));
    else if (answer.type === 'error') measures.errorFrames.add(1);
    answered(answer, socket);
  };
  socket.onerror = () => measures.socketFailures.add(1);
}

export function connectTwice(scene: Scene): void {
  const { user, roomId } = placeOf(scene, vu.idInTest);
  const startedAt = Date.now();
  open(user, { type: 'join_room', room_id: roomId, payload: {} }, (answer, socket) => {
    if (answer.type !== 'joined') return;
    measures.connectTime.add(Date.now() - startedAt);
    const since = answer.payload?.head_rev ?? 0;
    setTimeout(
      () => {
        socket.close();
        comeBack(user, roomId, since);
      },
      SECOND_STORM_MS - (Date.now() - startedAt),
    );
  });
}

function comeBack(user: User, roomId: string, since: number): void {
  const startedAt = Date.now();
  const resume = { type: 'resume', payload: { rooms: [{ room_id: roomId, since }] } };
  open(user, resume, (answer, socket) => {
    if (answer.type !== 'resumed' || answer.payload?.last !== true) return;
    measures.resumeTime.add(Date.now() - startedAt);
    measures.resumed.add(1);
    socket.close();
  });
}
