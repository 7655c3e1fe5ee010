/** People who chat while others come, read and go: sockets and REST together, users ramping up and down. */
import { sleep } from 'k6';
import { vu } from 'k6/execution';
import type { Options } from 'k6/options';
import { chat } from './chat.js';
import { listRooms, readHistory } from './history.js';
import { REST_MARKS, SOCKET_MARKS, TREND_STATS } from './measures.js';
import { makeScene, placeOf, type Scene } from './scene.js';
import { RATE, ROOMS, SECONDS, VUS } from './settings.js';

export { handleSummary } from './summary.js';

const CHATTERS = Math.ceil(VUS / 2);
const READERS = Math.max(1, VUS - CHATTERS);
const RAMP_SECONDS = SECONDS / 4;
const PAGES = 2;

export const options: Options = {
  setupTimeout: '5m',
  summaryTrendStats: TREND_STATS,
  thresholds: { ...SOCKET_MARKS, ...REST_MARKS, checks: ['rate==1'] },
  scenarios: {
    chatters: {
      executor: 'per-vu-iterations',
      exec: 'talk',
      vus: CHATTERS,
      iterations: 1,
      maxDuration: `${SECONDS + 30}s`,
    },
    readers: {
      executor: 'ramping-vus',
      exec: 'browse',
      startVUs: 0,
      stages: [
        { duration: `${RAMP_SECONDS}s`, target: READERS },
        { duration: `${SECONDS - 2 * RAMP_SECONDS}s`, target: READERS },
        { duration: `${RAMP_SECONDS}s`, target: 0 },
      ],
    },
  },
};

export function setup(): Scene {
  return makeScene(VUS, ROOMS, 50);
}

export function talk(scene: Scene): void {
  chat({ ...placeOf(scene, vu.idInTest), seconds: SECONDS, rate: RATE });
}

export function browse(scene: Scene): void {
  const { user, roomId } = placeOf(scene, vu.idInTest);
  listRooms(user);
  readHistory(user, roomId, PAGES);
  sleep(1);
}
