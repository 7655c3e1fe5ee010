import { describe, expect, test } from 'vitest';
import type { LogEvent } from '../../client/src/events.js';
import { createTimeline } from '../../client/src/timeline.js';
import { messageOf } from './message-of.js';

const NOW = Date.parse('2026-02-03T04:05:06.789Z');
const event = (type: LogEvent['type'], rev: number, rest: object): LogEvent =>
  ({ type, room_id: 'r', rev, live: true, message_id: 'm1', ...rest }) as LogEvent;

function filled(count: number, limit = 100) {
  const timeline = createTimeline(limit, () => undefined);
  for (let seq = 1; seq <= count; seq++) timeline.put(messageOf(seq));
  return timeline;
}
const seqs = (timeline: ReturnType<typeof filled>): number[] =>
  timeline.messages().map(({ seq_no }) => seq_no);

describe('a room’s timeline', () => {
  test('messages stand in order of their numbers, however they come', () => {
    const timeline = createTimeline(10, () => undefined);
    for (const seq of [3, 1, 2, 2]) timeline.put(messageOf(seq));
    expect(seqs(timeline)).toEqual([1, 2, 3]);
  });

  test('an older state never replaces a newer one', () => {
    const timeline = filled(1);
    timeline.put(messageOf(1, 9));
    timeline.put(messageOf(1, 5));
    timeline.apply(event('message_deleted', 7, { seq_no: 1 }), NOW);
    expect(timeline.get('m1')).toEqual(messageOf(1, 9));
  });

  test('a deletion leaves a tombstone', () => {
    const timeline = filled(1);
    timeline.apply(event('reaction_added', 2, { emoji: '👍', user_id: 'a', count: 1 }), NOW);
    timeline.apply(event('message_deleted', 3, { seq_no: 1 }), NOW);
    expect(timeline.get('m1')).toMatchObject({
      rev: 3,
      content: '',
      reactions: [],
      deleted_at: '2026-02-03T04:05:06.789Z',
    });
  });

  test('reactions are counted as the server counts them, and vanish with the last', () => {
    const timeline = filled(1);
    const reactions = () => timeline.get('m1')?.reactions;
    timeline.apply(event('reaction_added', 2, { emoji: '👍', user_id: 'a', count: 1 }), NOW);
    timeline.apply(event('reaction_added', 3, { emoji: '👍', user_id: 'b', count: 60 }), NOW);
    timeline.apply(event('reaction_added', 4, { emoji: '🎉', user_id: 'b', count: 1 }), NOW);
    expect(reactions()).toEqual([
      { emoji: '👍', count: 60, user_ids: ['b', 'a'] },
      { emoji: '🎉', count: 1, user_ids: ['b'] },
    ]);
    timeline.apply(event('reaction_removed', 5, { emoji: '👍', user_id: 'a', count: 59 }), NOW);
    timeline.apply(event('reaction_removed', 6, { emoji: '🎉', user_id: 'b', count: 0 }), NOW);
    expect(reactions()).toEqual([{ emoji: '👍', count: 59, user_ids: ['b'] }]);
    expect(timeline.get('m1')?.rev).toBe(6);
  });

  test('a pin is set and taken away', () => {
    const timeline = filled(1);
    timeline.apply(event('message_pinned', 2, {}), NOW);
    expect(timeline.get('m1')).toMatchObject({ pinned: true, rev: 2 });
    timeline.apply(event('message_unpinned', 3, {}), NOW);
    expect(timeline.get('m1')).toMatchObject({ pinned: false, rev: 3 });
  });

  test('beyond its limit the oldest leave, and changes to them are not shown', () => {
    const timeline = filled(5, 3);
    expect([seqs(timeline), timeline.from()]).toEqual([[3, 4, 5], 3]);
    timeline.put(messageOf(1, 9));
    expect([seqs(timeline), timeline.get('m1')]).toEqual([[3, 4, 5], undefined]);
  });

  test('the array stays the same until something changes', () => {
    const timeline = filled(2);
    const before = timeline.messages();
    expect(timeline.messages()).toBe(before);
    timeline.put(messageOf(3));
    expect(timeline.messages()).not.toBe(before);
    expect(before).toHaveLength(2);
  });

  test('older messages come in pages, and a change during the load is not lost', async () => {
    const timeline = createTimeline(100, () => undefined);
    timeline.clear(4);
    timeline.put(messageOf(5));
    const asked: number[] = [];
    const load = async (before: number) => {
      asked.push(before);
      timeline.apply(event('message_pinned', 8, { message_id: 'm3' }), NOW); // after the page was read
      timeline.put(messageOf(4, 7));
      return [messageOf(4), messageOf(3)];
    };
    expect(await timeline.prepend(load)).toBe(2);
    expect([asked, seqs(timeline)]).toEqual([[5], [3, 4, 5]]);
    expect(timeline.get('m3')).toMatchObject({ pinned: true, rev: 8 });
    expect(timeline.get('m4')).toEqual(messageOf(4, 7));
    expect(await timeline.prepend(async () => [messageOf(2), messageOf(1)])).toBe(2);
    expect(await timeline.prepend(async () => [])).toBe(0);
  });

  test('two loads at once are one', async () => {
    const timeline = createTimeline(100, () => undefined);
    timeline.clear(2);
    let loads = 0;
    const load = async () => {
      loads += 1;
      return [messageOf(2), messageOf(1)];
    };
    expect(await Promise.all([timeline.prepend(load), timeline.prepend(load)])).toEqual([2, 2]);
    expect([loads, seqs(timeline)]).toEqual([1, [1, 2]]);
  });
});
