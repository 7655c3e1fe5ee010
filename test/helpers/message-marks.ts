import type { Message } from '../../src/protocol/model.js';
import type { Frame } from './frames.js';

const USERS_LISTED_MAX = 50; // PROTOCOL §1: the newest

const MARKS = new Set(['reaction_added', 'reaction_removed', 'message_pinned', 'message_unpinned']);

/** Whether an event tells of a change to be laid over a message rather than of its new state. */
export function isMark(frame: Frame): boolean {
  return MARKS.has(frame.type);
}

/** A message after a reaction or pin, as a client works it out of the event. */
export function marked(message: Message, frame: Frame): Message {
  const rev = frame.rev ?? 0;
  switch (frame.type) {
    case 'message_pinned':
      return { ...message, rev, pinned: true };
    case 'message_unpinned':
      return { ...message, rev, pinned: false };
    default:
      return { ...message, rev, reactions: reactionsAfter(message.reactions, frame) };
  }
}

function reactionsAfter(reactions: Message['reactions'], frame: Frame): Message['reactions'] {
  const { emoji, user_id, count } = frame.payload as { emoji: string; user_id: string; count: number };
  const old = reactions.find((one) => one.emoji === emoji);
  const others = (old?.user_ids ?? []).filter((id) => id !== user_id);
  const user_ids = frame.type === 'reaction_added' ? [user_id, ...others].slice(0, USERS_LISTED_MAX) : others;
  const now = { emoji, count, user_ids };
  if (old === undefined) return [...reactions, now];
  return reactions.flatMap((one) => (one !== old ? one : count === 0 ? [] : now));
}
