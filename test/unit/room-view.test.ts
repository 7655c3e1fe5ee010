import { beforeEach, describe, expect, test } from 'vitest';
import type { Message } from '../../src/protocol/model.js';
import type { Frame, Joined } from '../helpers/frames.js';
import { differences, historyFaults } from '../helpers/history-check.js';
import { createRoomView, type RoomView } from '../helpers/room-view.js';

/** The judge of the stream tests must see what it is there to see. */
const ROOM = 'r';

const message = (seq_no: number, rev: number, content = `m${seq_no}`): Message => ({
  id: `id-${seq_no}`,
  room_id: ROOM,
  user_id: 'u',
  username: 'u',
  seq_no,
  rev,
  type: 'text',
  content,
  metadata: {},
  mentions: [],
  reply_to: null,
  thread_root: null,
  thread_count: 0,
  edited: false,
  edited_at: null,
  pinned: false,
  reactions: [],
  attachments: [],
  created_at: 't',
  updated_at: 't',
  deleted_at: null,
});
const joined = (
  head_seq: number,
  head_rev: number,
  messages: Message[],
  rest: Partial<Joined> = {},
): Joined => ({
  room_id: ROOM,
  role: 'member',
  head_seq,
  head_rev,
  last_read_seq: 0,
  unread_count: 0,
  messages,
  ...rest,
});
const created = (seq: number, rev: number): Frame =>
  event('new_message', rev, { message: message(seq, rev) });
const event = (type: string, rev: number, payload: Frame['payload']): Frame => ({
  type,
  room_id: ROOM,
  rev,
  payload,
});

const reacted = (rev: number, message_id: string, user_id: string, count: number, type = 'reaction_added') =>
  event(type, rev, { message_id, emoji: '👍', user_id, count });

let view: RoomView;
beforeEach(() => {
  view = createRoomView(ROOM);
});

describe('a room view', () => {
  test('follows a stream that keeps the promises, over a reconnection', () => {
    view.joined(0, joined(1, 1, [message(1, 1)]));
    view.event(created(2, 2));
    view.event(event('message_updated', 3, { message_id: 'id-1', message: message(1, 3, 'edited') }));
    view.apart();
    view.joined(3, joined(3, 5, [message(3, 4), message(2, 5, 'edited too')]));
    view.event(event('message_deleted', 6, { message_id: 'id-3', seq_no: 3 }));
    expect(view.violations).toEqual([]);
    expect(view.rev()).toBe(6);
    const tombstone = { ...message(3, 6, ''), deleted_at: 't' };
    const history = [message(1, 3, 'edited'), message(2, 5, 'edited too'), tombstone];
    expect(differences(view, history)).toEqual([]);
    expect(historyFaults(history, { head_seq: 3, head_rev: 6 })).toEqual([]);
  });

  test.each<[string, () => void]>([
    ['a gap in the live stream', () => view.event(created(3, 3))],
    ['a change that comes twice', () => view.event(created(1, 1))],
    ['a message number that skips', () => view.event(created(3, 2))],
    ['an event of an older state', () => view.event(event('message_updated', 2, { message: message(1, 1) }))],
    ['a reaction to a message never seen', () => view.event(reacted(2, 'id-9', 'u', 1))],
    ['an event while apart', () => [view.apart(), view.event(created(2, 2))]],
    ['a resumed change that was known', () => view.joined(1, joined(1, 1, [message(1, 1)]))],
    ['resumed changes out of order', () => view.joined(1, joined(3, 3, [message(3, 3), message(2, 2)]))],
    ['a resumed change above the head', () => view.joined(1, joined(2, 2, [message(2, 3)]))],
    ['more without a next_since', () => view.joined(1, joined(2, 2, [], { more: true }))],
  ])('finds %s', (_name, offend) => {
    view.joined(0, joined(1, 1, [message(1, 1)]));
    expect(view.violations).toEqual([]);
    offend();
    expect(view.violations).not.toEqual([]);
  });

  test('is behind until a long resume has been synced up to the live stream', () => {
    view.joined(0, joined(4, 4, [message(1, 1)], { more: true, next_since: 1 }));
    view.event(created(5, 5));
    expect([view.behind(), view.rev()]).toEqual([true, 1]);
    view.synced(1, { messages: [message(2, 2), message(3, 3)], head_rev: 5, next_since: 3, more: true });
    expect([view.behind(), view.rev()]).toEqual([true, 3]);
    view.synced(3, { messages: [message(4, 4), message(5, 5)], head_rev: 5, next_since: 5, more: false });
    expect([view.behind(), view.rev(), view.violations]).toEqual([false, 5, []]);
  });

  test('lays reactions and pins over the state it knows, and none over a newer one', () => {
    view.joined(0, joined(1, 1, [message(1, 1)]));
    view.event(reacted(2, 'id-1', 'a', 1));
    view.event(reacted(3, 'id-1', 'b', 2));
    view.event(reacted(4, 'id-1', 'a', 1, 'reaction_removed'));
    view.event(event('message_pinned', 5, { message_id: 'id-1', user_id: 'a' }));
    const reactions = [{ emoji: '👍', count: 1, user_ids: ['b'] }];
    const now = { ...message(1, 5), pinned: true, reactions };
    expect(differences(view, [now])).toEqual([]);
    expect(differences(view, [{ ...now, pinned: false }])).not.toEqual([]);
    expect(differences(view, [{ ...now, reactions: [] }])).not.toEqual([]);
    view.event(
      event('message_updated', 6, { message_id: 'id-1', message: { ...now, rev: 7, reactions: [] } }),
    );
    view.event(reacted(7, 'id-1', 'b', 0, 'reaction_removed'));
    expect(differences(view, [{ ...now, rev: 7, reactions: [] }])).toEqual([]);
  });

  test('lays what came while it was behind over what the sync brings', () => {
    view.joined(0, joined(2, 2, [message(1, 1)], { more: true, next_since: 1 }));
    view.event(reacted(3, 'id-2', 'a', 1));
    expect(view.behind()).toBe(true);
    view.synced(1, { messages: [message(2, 2)], head_rev: 2, next_since: 2, more: false });
    const reactions = [{ emoji: '👍', count: 1, user_ids: ['a'] }];
    expect(differences(view, [message(1, 1), { ...message(2, 3), reactions }])).toEqual([]);
  });

  test('of a slow reader may miss changes, and is whole after the sync', () => {
    view = createRoomView(ROOM, { mayMiss: true });
    view.joined(0, joined(0, 0, []));
    view.event(created(1, 1));
    view.event(created(4, 4));
    view.resync(5);
    expect([view.behind(), view.rev()]).toEqual([true, 1]);
    const missed = [2, 3, 4, 5].map((n) => message(n, n));
    view.synced(1, { messages: missed, head_rev: 5, next_since: 5, more: false });
    view.event(created(6, 6));
    expect([view.behind(), view.rev(), view.violations]).toEqual([false, 6, []]);
  });
});

describe('the comparison with history', () => {
  test.each<[string, Message[]]>([
    ['a message that was never seen', [message(1, 1), message(2, 2)]],
    ['a message seen that history lacks', []],
    ['another content', [message(1, 1, 'other')]],
    ['a change that was not seen', [message(1, 2)]],
  ])('finds %s', (_name, history) => {
    view.joined(0, joined(1, 1, [message(1, 1)]));
    expect(differences(view, history)).not.toEqual([]);
  });

  test.each<[string, Message[], number, number]>([
    ['a missing number', [message(1, 1), message(3, 3)], 3, 3],
    ['a number twice', [message(1, 1), message(1, 2)], 2, 2],
    ['a rev twice', [message(1, 2), message(2, 2)], 2, 2],
    ['a head beyond the newest', [message(1, 1)], 1, 2],
  ])('finds %s in history itself', (_name, history, head_seq, head_rev) => {
    expect(historyFaults(history, { head_seq, head_rev })).not.toEqual([]);
  });
});
