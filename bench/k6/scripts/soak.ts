/** The same chat for hours, in sessions of a minute: sockets come and go, memory and latency have to stay where they were. */
import { vu } from 'k6/execution';
import type { Options } from 'k6/options';
import { chat } from './chat.js';
import { SOCKET_MARKS, TREND_STATS } from './measures.js';
import { makeScene, placeOf, type Scene } from './scene.js';
import { RATE, ROOMS, SECONDS, VUS } from './settings.js';

export { handleSummary } from './summary.js';

const SESSION_SECONDS = Math.min(60, SECONDS);

export const options: Options = {
  setupTimeout: '5m',
  summaryTrendStats: TREND_STATS,
  thresholds: SOCKET_MARKS,
  scenarios: {
    soak: {
      executor: 'constant-vus',
      exec: 'session',
      vus: VUS,
      duration: `${SECONDS}s`,
      gracefulStop: `${SESSION_SECONDS + 10}s`,
    },
  },
};

export function setup(): Scene {
  return makeScene(VUS, ROOMS);
}

export function session(scene: Scene): void {
  chat({ ...placeOf(scene, vu.idInTest), seconds: SESSION_SECONDS, rate: RATE });
}
