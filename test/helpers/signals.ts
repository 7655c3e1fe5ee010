import { openDatabase } from '../../src/store/client.js';
import type { Encoding, Frame } from './frames.js';
import type { Account } from './rest-client.js';
import { connect, type WsClient } from './ws-client.js';

/** A connection that keeps every frame in the order of its arrival. */
export interface Ear extends WsClient {
  readonly frames: readonly Frame[];
  /** The frames of a type in a room, about a user where one is given. */
  readonly heard: (type: string, room: string, about?: Account) => Frame[];
  /** Waits for the next unread frame of a type about a user. */
  readonly hears: (type: string, about: Account, deadlineMs?: number) => Promise<Frame>;
}

const isAbout = (frame: Frame, account: Account | undefined): boolean =>
  account === undefined || frame.payload.user_id === account.id;

export async function listen(wsUrl: string, account: Account, encoding: Encoding = 'json'): Promise<Ear> {
  const frames: Frame[] = [];
  const onFrame = (frame: Frame) => void frames.push(frame);
  const client = await connect({ wsUrl, token: account.token, encoding, onFrame });
  return {
    ...client,
    frames,
    heard: (type, room, about) =>
      frames.filter((frame) => frame.type === type && frame.room_id === room && isAbout(frame, about)),
    hears: (type, about, deadlineMs) =>
      client.next(
        (frame) => frame.type === type && isAbout(frame, about),
        `${type} about ${about.username}`,
        deadlineMs,
      ),
  };
}

/** As {@link listen}, and joins a room. */
export async function enter(
  wsUrl: string,
  account: Account,
  room: string,
  encoding: Encoding = 'json',
): Promise<Ear> {
  const ear = await listen(wsUrl, account, encoding);
  await ear.ask('join_room', {}, room);
  return ear;
}

/** Fills a room with members who never connect, until it has so many. */
export async function fillRoom(databaseUrl: string, roomId: string, members: number): Promise<void> {
  const db = openDatabase(databaseUrl, 1, 'fill-room');
  try {
    await db`
      with fresh as (
        insert into users (id, username, email, password_hash)
        select gen_random_uuid(), 'm' || replace(gen_random_uuid()::text, '-', ''), gen_random_uuid() || '@x.io', ''
        from generate_series(1, ${members} - (select member_count from rooms where id = ${roomId}))
        returning id
      ), added as (
        insert into room_members (room_id, user_id) select ${roomId}::uuid, id from fresh
      )
      update rooms set member_count = ${members} where id = ${roomId}`;
  } finally {
    await db.end();
  }
}
