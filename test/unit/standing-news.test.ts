import { expect, test } from 'vitest';
import { createStandingNews } from '../../src/front/standing-news.js';
import { createTold } from '../../src/front/told.js';
import type { StandingChange } from '../../src/ipc/messages.js';
import { memberUpdated, removedFrom } from '../../src/protocol/facts.js';
import { newId, type RoomId, type UserId } from '../../src/protocol/ids.js';

const FIRST = '2026-01-01T00:00:00.000Z';
const AGAIN = '2026-01-02T00:00:00.000Z';

function world() {
  const told = createTold();
  const heard: string[] = [];
  const typeOf = (frame: string | Uint8Array): string => JSON.parse(String(frame)).type;
  const news = createStandingNews({
    told,
    toRoom: (_room, { json }) => heard.push(`room ${typeOf(json)}`),
    toUser: (_user, { json }) => heard.push(`user ${typeOf(json)}`),
    revoke: () => heard.push('revoke'),
    isHeard: () => true,
    isHere: () => true,
  });
  const change = (joined_at: string): StandingChange => ({
    room_id: newRoom,
    user_id: ben,
    ended: true,
    at_ms: 1,
    kind: 'gone',
    joined_at,
    how: 'removed',
    username: 'ben',
  });
  return { told, news, heard, change };
}
const newRoom = newId<RoomId>();
const ben = newId<UserId>();

test('who is removed hears it before he is cut off, once, whether bus or watch comes first', () => {
  const { told, news, heard, change } = world();
  news.ended(change(FIRST));
  expect(heard.splice(0)).toEqual(['user removed_from_room', 'revoke', 'room member_left']);
  // What the bus brings then is no news, and neither is what the watch finds after the bus.
  expect(told.fresh(removedFrom(newRoom, { user_id: ben, joined_at: FIRST }))).toBe(false);
  expect(told.fresh(removedFrom(newRoom, { user_id: ben, joined_at: AGAIN }))).toBe(true);
  news.ended(change(AGAIN));
  expect(heard).toEqual(['revoke', 'room member_left']);
});

test('a state that comes back is news again, one that stands is not', () => {
  const { told } = world();
  const member = { user_id: ben, joined_at: FIRST, muted_until: null, username: 'ben', avatar_url: null };
  const as = (role: 'member' | 'moderator') =>
    told.fresh(memberUpdated(newRoom, { ...member, role, last_read_seq: 0 }));
  expect([as('moderator'), as('moderator'), as('member'), as('moderator')]).toEqual([
    true,
    false,
    true,
    true,
  ]);
});

test('what began and ended within one look is told before it ends', () => {
  const { news, heard, change } = world();
  news.ended({ ...change(FIRST), kind: 'added', how: 'joined' });
  news.ended({ ...change(FIRST), kind: 'changed', how: null });
  expect(heard).toEqual([]);
  news.ended({ ...change(FIRST), kind: 'room', user_id: null, how: null });
  expect(heard).toEqual(['room room_deleted', 'revoke']);
});
