import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRoomLog, type Joined } from '../../client/src/room-log.js';
import { messageOf } from './message-of.js';

function logged() {
  const out: string[] = [];
  const log = createRoomLog<string>({
    event: (rev, event) => void out.push(`${event} ${rev}`),
    state: ({ id, rev }) => void out.push(`${id} ${rev}`),
  });
  return { log, out };
}
const joined = (head_rev: number, rest: Partial<Joined> = {}): Joined => ({
  room_id: 'r',
  role: 'member',
  head_seq: head_rev,
  head_rev,
  last_read_seq: 0,
  unread_count: 0,
  ...rest,
});

describe('the order of a room’s changes', () => {
  test('changes after a join are handed on once, in order', () => {
    const { log, out } = logged();
    log.event(1, 'before the join');
    log.joined(joined(4));
    for (const rev of [4, 5, 6, 6, 5]) log.event(rev, 'live');
    expect(out).toEqual(['live 5', 'live 6']);
    expect([log.rev(), log.behind()]).toEqual([6, false]);
  });

  test('a jump waits for what lies before it, and goes on behind that', () => {
    const { log, out } = logged();
    log.joined(joined(4));
    log.event(7, 'live');
    log.event(8, 'live');
    expect([out, log.behind()]).toEqual([[], true]);
    log.synced({ messages: [messageOf(1, 5), messageOf(2, 6)], head_rev: 8, next_since: 6, more: true });
    expect(out).toEqual(['m1 5', 'm2 6', 'live 7', 'live 8']);
    expect([log.rev(), log.behind()]).toEqual([8, false]);
  });

  test('a resync makes it ask although nothing jumped', () => {
    const { log, out } = logged();
    log.joined(joined(4));
    log.resync(6);
    expect(log.behind()).toBe(true);
    log.synced({ messages: [messageOf(1, 6)], head_rev: 6, next_since: 6, more: false });
    expect([out, log.behind()]).toEqual([['m1 6'], false]);
    log.resync(6);
    expect(log.behind()).toBe(false);
  });

  test('coming back with more than one answer holds, it asks on from where the answer ended', () => {
    const { log, out } = logged();
    log.start(2);
    log.joined(joined(9, { messages: [messageOf(1, 4)], next_since: 5, more: true }));
    expect([log.rev(), log.behind()]).toEqual([5, true]);
    log.synced({ messages: [messageOf(2, 9)], head_rev: 9, next_since: 9, more: false });
    expect([out, log.rev(), log.behind()]).toEqual([['m1 4', 'm2 9'], 9, false]);
  });

  test('more changes than it keeps while behind come by sync all the same', () => {
    const { log, out } = logged();
    log.joined(joined(0));
    for (let rev = 2; rev <= 1_500; rev++) log.event(rev, 'live');
    const messages = Array.from({ length: 1_500 }, (_, index) => messageOf(index + 1));
    while (log.behind()) {
      const since = log.rev() ?? 0;
      const page = messages.slice(since, since + 500);
      const next_since = page.at(-1)?.rev ?? since;
      log.synced({ messages: page, head_rev: 1_500, next_since, more: next_since < 1_500 });
    }
    expect(out).toHaveLength(1_500);
    expect(out.map((text) => Number(text.split(' ')[1]))).toEqual(messages.map(({ rev }) => rev));
  });

  test('whatever is lost, late or doubled, each rev is handed on at most once, in order, and syncing reaches the head', () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant('event' as const), ahead: fc.integer({ min: -3, max: 4 }) }),
      fc.record({ type: fc.constant('resync' as const), ahead: fc.integer({ min: 0, max: 5 }) }),
      fc.record({ type: fc.constant('sync' as const), ahead: fc.integer({ min: 0, max: 6 }) }),
      fc.record({ type: fc.constant('rejoin' as const), ahead: fc.integer({ min: 0, max: 6 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { log, out } = logged();
        let head = 3;
        log.start(0);
        // Every rev is a message of its own: what a sync from `since` gives is all between.
        const run = (to: number) => {
          const since = log.rev() ?? 0;
          const messages = [];
          for (let rev = since + 1; rev <= Math.min(to, head); rev++) messages.push(messageOf(rev));
          const next_since = Math.max(since, Math.min(to, head));
          return { messages, head_rev: head, next_since, more: next_since < head };
        };
        log.joined(joined(head, run(head)));
        for (const { type, ahead } of steps) {
          if (type === 'event') {
            const rev = Math.max(1, (log.rev() ?? 0) + ahead);
            head = Math.max(head, rev);
            log.event(rev, 'live');
          } else if (type === 'resync') {
            head += ahead;
            log.resync(head);
          } else if (type === 'sync') log.synced(run((log.rev() ?? 0) + ahead));
          else {
            log.apart();
            head += ahead;
            log.joined(joined(head, run((log.rev() ?? 0) + ahead)));
          }
        }
        while (log.behind()) log.synced(run((log.rev() ?? 0) + 2));
        const revs = out.map((text) => Number(text.split(' ')[1]));
        expect(revs).toEqual(Array.from({ length: log.rev() ?? 0 }, (_, index) => index + 1));
      }),
    );
  });
});
