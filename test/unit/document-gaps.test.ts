import { expect, test } from 'vitest';
import { type DocumentedTables, documentedTables, documentGaps } from '../../src/docs/gaps.js';

const tables = documentedTables();

test('every route and every frame has a schema, a description and a list of errors', () => {
  expect(Object.keys(tables.routes).length).toBeGreaterThan(40);
  expect(documentGaps(tables)).toEqual([]);
});

test.each([
  ['routes', 'list_rooms', 'data', 'route list_rooms has no schema'],
  ['routes', 'list_rooms', 'summary', 'route list_rooms has no description'],
  ['routes', 'list_rooms', 'errors', 'route list_rooms has no list of errors, not even an empty one'],
  ['routes', 'health_live', 'errors', 'route health_live has no list of errors, not even an empty one'],
  ['clientFrames', 'ping', 'payload', 'frame ping of clients has no schema'],
  ['clientFrames', 'ping', 'summary', 'frame ping of clients has no description'],
  ['clientFrames', 'ping', 'errors', 'frame ping of clients has no list of errors, not even an empty one'],
  ['serverFrames', 'bye', 'payload', 'frame bye of the server has no schema'],
  ['serverFrames', 'bye', 'summary', 'frame bye of the server has no description'],
] as const)('is told where one of the %s, %s, lacks its %s', (table, name, member, told) => {
  const without = (value: unknown): DocumentedTables => ({
    ...tables,
    [table]: { ...tables[table], [name]: { ...tables[table][name], [member]: value } },
  });
  expect(documentGaps(without(undefined))).toEqual([told]);
  if (member === 'summary') expect(documentGaps(without('  '))).toEqual([told]);
  if (member === 'data' || member === 'payload') expect(documentGaps(without({}))).toEqual([told]);
});
