import { describe, expect, test } from 'vitest';
import { bearerToken, checkParams, parameterNames, queryReader } from '../../src/front/http-request.js';
import { ROUTES } from '../../src/http/routes.js';
import { Refusal } from '../../src/protocol/errors.js';

const readHistory = queryReader(ROUTES.list_messages.query);

function refusalOf(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return [error.problem.code, error.problem.field];
  }
}

describe('a query', () => {
  test.each([
    ['', {}],
    ['limit=20', { limit: 20 }],
    ['limit=5&before=123', { limit: 5, before: '123' }],
    ['colour=red&colour=blue&limit=1', { limit: 1 }],
    ['%6cimit=%37', { limit: 7 }],
    ['&&limit=1&', { limit: 1 }],
  ])('%s is read', (raw, values) => expect(readHistory(raw)).toEqual(values));

  test.each([
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=1e1', 'limit'],
    ['limit=+5', 'limit'],
    ['limit=', 'limit'],
    ['limit', 'limit'],
    ['limit=1&limit=1', 'limit'],
    ['before=x', 'before'],
    ['before=%00', 'before'],
    ['before=%zz', undefined],
    ['%ff=1', undefined],
  ])('%s is refused', (raw, field) => {
    expect(refusalOf(() => readHistory(raw))).toEqual(['bad_request', field]);
  });

  test('is ignored where the route takes none', () => expect(queryReader(null)('a=%zz')).toBeNull());

  test('can name members of every object without effect', () => {
    expect(readHistory('__proto__=1&constructor=2&toString=3')).toEqual({});
  });
});

test('path parameters are canonical UUIDs', () => {
  expect(parameterNames('/rooms/:roomId/members/:userId')).toEqual(['roomId', 'userId']);
  const roomId = '018f0000-0000-7000-8000-00000000000a';
  checkParams({ roomId });
  expect(refusalOf(() => checkParams({ roomId, userId: roomId.toUpperCase() }))).toEqual([
    'bad_request',
    'userId',
  ]);
});

test.each([
  ['Bearer a.b', 'a.b'],
  ['bEARER  a', 'a'],
  ['Bearer', null],
  ['Bearer a b', null],
  ['Basic a', null],
  ['', null],
])('authorization %j carries %j', (header, token) => expect(bearerToken(header)).toBe(token));
