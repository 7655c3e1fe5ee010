import { describe, expect, test } from 'vitest';
import { createCors } from '../../src/front/cors.js';

const cors = createCors(['https://app.example']);
const HOST = 'chat.example:8080';

describe('an origin', () => {
  test.each([
    ['', HOST, true],
    ['http://chat.example:8080', HOST, true],
    ['https://CHAT.example:8080', HOST, true],
    ['https://chat.example', 'chat.example', true],
    ['https://chat.example', 'chat.example:443', true],
    ['https://app.example', HOST, true],
    ['http://app.example', HOST, false],
    ['https://app.example.evil', HOST, false],
    ['https://chat.example', HOST, false],
    ['null', HOST, false],
    ['null', 'null', false],
    ['file://chat.example:8080', HOST, false],
    ['http://', '', false],
    ['http://x@chat.example:8080', HOST, false],
  ])('%j at host %s: %s', (origin, host, allowed) => expect(cors.originAllowed(origin, host)).toBe(allowed));
});

test('only an allowed foreign origin is told so', () => {
  expect(Object.fromEntries(cors.headers('https://app.example', HOST))).toMatchObject({
    'access-control-allow-origin': 'https://app.example',
    vary: 'Origin',
  });
  for (const origin of ['', 'http://chat.example:8080', 'https://evil.example']) {
    expect(cors.headers(origin, HOST)).toEqual([]);
    expect(cors.preflightHeaders(origin, HOST)).toEqual([]);
  }
  expect(cors.preflightHeaders('https://app.example', HOST)).not.toEqual([]);
});
