/** Members of rooms who all send and all watch. */
import { vu } from 'k6/execution';
import type { Options } from 'k6/options';
import { chat } from './chat.js';
import { SOCKET_MARKS, TREND_STATS } from './measures.js';
import { makeScene, placeOf, type Scene } from './scene.js';
import { RATE, ROOMS, SECONDS, VUS } from './settings.js';

export { handleSummary } from './summary.js';

export const options: Options = {
  setupTimeout: '5m',
  summaryTrendStats: TREND_STATS,
  thresholds: SOCKET_MARKS,
  scenarios: {
    chat: {
      executor: 'per-vu-iterations',
      exec: 'session',
      vus: VUS,
      iterations: 1,
      maxDuration: `${SECONDS + 30}s`,
    },
  },
};

export function setup(): Scene {
  return makeScene(VUS, ROOMS);
}

export function session(scene: Scene): void {
  chat({ ...placeOf(scene, vu.idInTest), seconds: SECONDS, rate: RATE });
}
