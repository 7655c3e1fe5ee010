/** The frames of a baseline: the same members as Parley's, so that the same bytes are made, sent and read. */
import type { Account, Room, Sent } from './room-book.js';

/** A message with its place in the room. */
export interface Numbered {
  readonly seqNo: number;
  readonly rev: number;
  readonly createdAt: Date;
}

/** Takes the room's next numbers. */
export function nextNumbers(room: Room): Numbered {
  room.headSeq += 1;
  room.headRev += 1;
  return { seqNo: room.headSeq, rev: room.headRev, createdAt: new Date() };
}

export function welcomeFrame(account: Account) {
  return {
    type: 'welcome',
    payload: {
      user_id: account.id,
      session_id: account.id,
      server_time: Date.now(),
      heartbeat_s: 54,
      limits: {},
    },
    timestamp: Date.now(),
  };
}

export function joinedFrame(room: Room, ref: unknown) {
  return {
    type: 'joined',
    room_id: room.id,
    ref,
    payload: {
      room_id: room.id,
      role: 'member',
      head_seq: room.headSeq,
      head_rev: room.headRev,
      last_read_seq: room.headSeq,
      unread_count: 0,
      messages: [],
      more: false,
    },
    timestamp: Date.now(),
  };
}

export function ackFrame(sent: Sent, { seqNo, rev, createdAt }: Numbered) {
  return {
    type: 'message_ack',
    room_id: sent.roomId,
    ref: sent.ref,
    payload: { id: sent.id, seq_no: seqNo, rev, created_at: createdAt.toISOString(), duplicate: false },
    timestamp: Date.now(),
  };
}

export function newMessageFrame(sent: Sent, account: Account, { seqNo, rev, createdAt }: Numbered) {
  const created = createdAt.toISOString();
  return {
    type: 'new_message',
    room_id: sent.roomId,
    rev,
    payload: {
      message: {
        id: sent.id,
        room_id: sent.roomId,
        user_id: account.id,
        username: account.username,
        seq_no: seqNo,
        rev,
        type: 'text',
        content: sent.content,
        metadata: null,
        mentions: [],
        reply_to: null,
        thread_root: null,
        thread_count: 0,
        edited: false,
        edited_at: null,
        pinned: false,
        reactions: [],
        attachments: [],
        created_at: created,
        updated_at: created,
        deleted_at: null,
      },
    },
    timestamp: Date.now(),
  };
}
