import { expect, test } from 'vitest';
import { newId } from '../../src/protocol/ids.js';
import { checkAnswer, checkServerFrame } from '../helpers/conformance.js';

test('what the documents don’t know passes in no frame and no answer', () => {
  const frame = (payload: Record<string, unknown>) => ({ type: 'pong', payload, timestamp: 0 });
  checkServerFrame(frame({}));
  expect(() => checkServerFrame(frame({ junk: 1 }))).toThrow('not as documented');
  const id = newId();
  const names = { username: 'ann', avatar_url: null, status: 'online', last_seen_at: null };
  const data = { id, ...names, created_at: '2026-01-02T03:04:05.678Z' };
  checkAnswer('GET', `/users/${id}`, 200, { data });
  const leak = { ...data, email: 'ann@example.org' };
  expect(() => checkAnswer('GET', `/users/${id}`, 200, { data: leak })).toThrow('not as documented');
});
