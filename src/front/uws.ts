import { createRequire } from 'node:module';

/** uWebSockets.js as CommonJS, which its official releases and its republishing on npm have in common. */
export const uWS = createRequire(import.meta.url)('uWebSockets.js') as typeof import('uWebSockets.js');
