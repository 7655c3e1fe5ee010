import type { Message } from '../../client/src/index.js';

/** A message of room `r`, numbered `seq_no`, last changed at `rev`. */
export function messageOf(seq_no: number, rev = seq_no, changes: Partial<Message> = {}): Message {
  return {
    id: `m${seq_no}`,
    room_id: 'r',
    user_id: 'u',
    username: 'somebody',
    seq_no,
    rev,
    type: 'text',
    content: `content ${rev}`,
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
    created_at: '2026-01-01T00:00:00.000Z',
    updated_at: '2026-01-01T00:00:00.000Z',
    deleted_at: null,
    ...changes,
  };
}
