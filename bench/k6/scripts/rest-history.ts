/** Pages of history at a fixed rate of readers, each going back through a room. */
import { scenario } from 'k6/execution';
import type { Options } from 'k6/options';
import { readHistory } from './history.js';
import { REST_MARKS, TREND_STATS } from './measures.js';
import { makeScene, placeOf, type Scene } from './scene.js';
import { RATE, ROOMS, SECONDS, VUS } from './settings.js';

export { handleSummary } from './summary.js';

const MESSAGES_PER_ROOM = 200;
const PAGES = 4;

export const options: Options = {
  setupTimeout: '5m',
  summaryTrendStats: TREND_STATS,
  thresholds: { ...REST_MARKS, checks: ['rate==1'], dropped_iterations: ['count==0'] },
  scenarios: {
    history: {
      executor: 'constant-arrival-rate',
      exec: 'read',
      rate: RATE,
      timeUnit: '1s',
      duration: `${SECONDS}s`,
      preAllocatedVUs: VUS,
    },
  },
};

export function setup(): Scene {
  return makeScene(VUS, ROOMS, MESSAGES_PER_ROOM);
}

export function read(scene: Scene): void {
  const { user, roomId } = placeOf(scene, scenario.iterationInTest + 1);
  readHistory(user, roomId, PAGES);
}
