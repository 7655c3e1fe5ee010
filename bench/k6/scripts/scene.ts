/** Users, rooms and messages for a script, made over REST in its setup(). */
import http, { type RefinedResponse } from 'k6/http';
import { API } from './settings.js';

export interface User {
  readonly id: string;
  readonly token: string;
}

/** What setup() hands to every virtual user. User i belongs to room i % rooms. */
export interface Scene {
  readonly users: readonly User[];
  readonly roomIds: readonly string[];
}

interface Reply {
  readonly data: { readonly id: string; readonly token: string; readonly user: { readonly id: string } };
}

/** Requests of the set-up that are under way together. */
const BATCH = 16;

/** Members named when a room is made; the rest is added one by one. */
const MEMBERS_AT_CREATION = 50;

const params = (token?: string) => ({
  headers: {
    'content-type': 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  },
  tags: { kind: 'setup' },
});

interface Post {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly token?: string;
}

function replyOf(response: RefinedResponse<'text'>): Reply {
  if (response.status < 200 || response.status > 299) {
    throw new Error(`${response.url}: ${response.status} ${response.body}`);
  }
  return response.json() as unknown as Reply;
}

function postAll(posts: readonly Post[]): Reply[] {
  const replies: Reply[] = [];
  for (let from = 0; from < posts.length; from += BATCH) {
    const requests = posts.slice(from, from + BATCH).map(({ path, body, token }) => ({
      method: 'POST',
      url: `${API}${path}`,
      body: JSON.stringify(body),
      params: { ...params(token), responseType: 'text' as const },
    }));
    const responses = http.batch(requests) as unknown as RefinedResponse<'text'>[];
    replies.push(...responses.map(replyOf));
  }
  return replies;
}

function ownerOf(users: readonly User[], room: number): User {
  const owner = users[room % users.length];
  if (owner === undefined) throw new Error('a scene needs users');
  return owner;
}

/** Makes users and rooms. @param messages in each room, sent by its owner. */
export function makeScene(userCount: number, roomCount: number, messages = 0): Scene {
  const run = `${Date.now().toString(36)}${Math.floor(Math.random() * 1e6).toString(36)}`;
  const registered = postAll(
    Array.from({ length: userCount }, (_, index) => ({
      path: '/auth/register',
      body: {
        username: `k${run}-${index}`,
        email: `k${run}-${index}@bench.example.com`,
        password: `password-of-${run}`,
      },
    })),
  );
  const users = registered.map(({ data }) => ({ id: data.user.id, token: data.token }));
  const membersOf = (room: number) =>
    users.filter((user, index) => index % roomCount === room && user !== ownerOf(users, room));
  const rooms = postAll(
    Array.from({ length: roomCount }, (_, room) => ({
      path: '/rooms',
      token: ownerOf(users, room).token,
      body: {
        name: `k6 ${run} ${room}`,
        type: 'private',
        member_ids: membersOf(room)
          .slice(0, MEMBERS_AT_CREATION)
          .map((user) => user.id),
      },
    })),
  );
  const roomIds = rooms.map(({ data }) => data.id);
  for (const [room, id] of roomIds.entries()) {
    const { token } = ownerOf(users, room);
    const late = membersOf(room).slice(MEMBERS_AT_CREATION);
    postAll(late.map((user) => ({ path: `/rooms/${id}/members`, token, body: { user_id: user.id } })));
    postAll(
      Array.from({ length: messages }, (_, index) => ({
        path: `/rooms/${id}/messages`,
        token,
        body: { content: `message ${index} of the room ${room}` },
      })),
    );
  }
  return { users, roomIds };
}

/** The user and room of a virtual user. @param vu counts from 1, as k6 does. */
export function placeOf(scene: Scene, vu: number): { user: User; roomId: string } {
  const index = (vu - 1) % scene.users.length;
  const user = scene.users[index];
  const roomId = scene.roomIds[index % scene.roomIds.length];
  if (user === undefined || roomId === undefined) throw new Error('an empty scene');
  return { user, roomId };
}
