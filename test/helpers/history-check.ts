import { isDeepStrictEqual } from 'node:util';
import type { Message } from '../../src/protocol/model.js';
import type { RoomView } from './room-view.js';

/**
 * What is wrong with a room's whole history (oldest first): numbers 1…n without a gap, each id and rev once, the
 * newest rev at the head.
 */
export function historyFaults(
  history: readonly Message[],
  head: { head_seq: number; head_rev: number },
): string[] {
  const faults = history.flatMap((message, index) =>
    message.seq_no === index + 1 ? [] : [`seq_no ${message.seq_no} in place ${index + 1}`],
  );
  const revs = history.map((message) => message.rev);
  if (new Set(history.map((message) => message.id)).size !== history.length) faults.push('an id twice');
  if (new Set(revs).size !== revs.length) faults.push('a rev twice');
  if (history.length !== head.head_seq) faults.push(`${history.length} messages, head_seq ${head.head_seq}`);
  const newest = revs.reduce((a, b) => Math.max(a, b), 0);
  if (newest !== head.head_rev) faults.push(`newest rev ${newest}, head_rev ${head.head_rev}`);
  return faults;
}

/** What is wrong with the counts in a room's whole history, where no message has more than 50 of an emoji. */
export function countFaults(history: readonly Message[]): string[] {
  return history.flatMap((message) => {
    const replies = history.filter(
      ({ thread_root, deleted_at }) => thread_root === message.id && !deleted_at,
    );
    const faults: string[] = [];
    if (message.thread_count !== replies.length)
      faults.push(
        `seq_no ${message.seq_no}: thread_count ${message.thread_count}, ${replies.length} replies`,
      );
    for (const { emoji, count, user_ids } of message.reactions) {
      if (count !== new Set(user_ids).size || count !== user_ids.length || count === 0)
        faults.push(`seq_no ${message.seq_no}: ${count} times ${emoji} by ${user_ids.join(' ')}`);
    }
    const gone = message.deleted_at !== null;
    if (gone && (message.pinned || message.reactions.length > 0))
      faults.push(`seq_no ${message.seq_no}: a tombstone with reactions or a pin`);
    return faults;
  });
}

/** Where a member's view, complete since rev 0, differs from the history (promise I6). */
export function differences(view: RoomView, history: readonly Message[]): string[] {
  const found = [...view.violations];
  if (view.messages.size !== history.length)
    found.push(`${view.messages.size} seen, ${history.length} in history`);
  for (const message of history) {
    const seen = view.messages.get(message.id);
    if (seen === undefined) found.push(`seq_no ${message.seq_no} never seen`);
    else if (seen.rev !== message.rev)
      found.push(`seq_no ${message.seq_no}: saw rev ${seen.rev}, is ${message.rev}`);
    else if (seen.message === null) {
      if (message.deleted_at === null) found.push(`seq_no ${message.seq_no}: saw it deleted`);
    } else if (!isDeepStrictEqual(lasting(seen.message), lasting(message))) {
      found.push(
        `seq_no ${message.seq_no}: saw ${JSON.stringify(seen.message)}, is ${JSON.stringify(message)}`,
      );
    }
  }
  return found;
}

/** A message without what changes under the same rev (PROTOCOL §1). */
function lasting({ thread_count: _count, username: _name, ...rest }: Message): Partial<Message> {
  return rest;
}
