import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROUTES, type Route, type RouteName } from '../../src/http/routes.js';
import { CLIENT_FRAMES, type ClientFrameType, Encoding } from '../../src/protocol/frames.js';
import type { Attachment, Message, Room } from '../../src/protocol/model.js';
import { picture, upload } from '../helpers/attachments.js';
import { must } from '../helpers/deadline.js';
import type { ErrorPayload, Frame } from '../helpers/frames.js';
import {
  type Account,
  dataOf,
  freshName,
  newAccount,
  type Rest,
  type RestAnswer,
  restClient,
} from '../helpers/rest-client.js';
import { type Server, startServerWithDatabase } from '../helpers/server-process.js';
import { connect, type WsClient } from '../helpers/ws-client.js';

/**
 * Every route and every frame that names something by an id, asked by everybody who may not: made from their tables, so
 * that a new one is in it. Nothing may be read or changed, and what is private may not be told from what isn't there.
 */
const OUTSIDERS = ['stranger', 'former', 'banned'] as const;
const INSIDERS = ['moderator', 'member', 'muted'] as const;
type Who = (typeof OUTSIDERS)[number] | (typeof INSIDERS)[number] | 'admin';
const KINDS = ['public', 'private', 'direct'] as const;
type Kind = (typeof KINDS)[number];

/** A room with what an admin has put into it. */
interface Scene {
  readonly room: Room;
  readonly message: Message;
  readonly attached: Attachment;
  readonly pending: Attachment;
}

let server: Server;
let rest: Rest;
let sql: postgres.Sql;
const people = {} as Record<Who, Account>;
const scenes = {} as Record<Kind, Scene>;

beforeAll(async () => {
  const started = await startServerWithDatabase({ SHARDS: '2' });
  server = started;
  rest = restClient(server.url);
  sql = postgres(started.database.url, { max: 1 });
  for (const who of ['admin', ...INSIDERS, ...OUTSIDERS] as const) people[who] = await newAccount(rest, who);
  for (const kind of KINDS) scenes[kind] = await scene(kind);
}, 60_000);
afterAll(() => sql.end());

async function scene(kind: Kind): Promise<Scene> {
  const { admin, member, moderator, muted, former, banned } = people;
  const { token } = admin;
  const members = kind === 'direct' ? [member] : [member, moderator, muted, former, banned];
  const body = { type: kind, member_ids: members.map(({ id }) => id) };
  const named = kind === 'direct' ? body : { ...body, name: freshName('room') };
  const room = dataOf(await rest.createRoom(token, named));
  const file = { name: 'secret.png', bytes: await picture(32, 32) };
  const [attached, pending] = [
    dataOf(await upload(server.url, token, room.id, file)),
    dataOf(await upload(server.url, token, room.id, file)),
  ];
  const sent = { content: 'a secret that nobody else may read', attachment_ids: [attached.id] };
  const message = dataOf(await rest.send(token, room.id, sent));
  dataOf(await rest.edit(token, message.id, 'a secret, edited'));
  dataOf(await rest.react(token, message.id, '👍'));
  dataOf(await rest.pin(token, message.id));
  if (kind !== 'direct') {
    dataOf(await rest.patchMember(token, room.id, moderator.id, { role: 'moderator' }));
    const muted_until = new Date(Date.now() + 3_600_000).toISOString();
    dataOf(await rest.patchMember(token, room.id, muted.id, { muted_until }));
    dataOf(await rest.removeMember(token, room.id, former.id));
    dataOf(await rest.call('PUT', `/rooms/${room.id}/bans/${banned.id}`, { token, body: {} }));
  }
  return { room, message, attached, pending };
}

/** What frames name. */
interface Target {
  readonly room: { readonly id: string };
  readonly message: { readonly id: string };
}

/** Payloads that would do something, were they allowed. */
const FRAMES: Partial<Record<ClientFrameType, (target: Target) => unknown>> = {
  join_room: () => ({ since: 0 }),
  leave_room: () => ({}),
  resume: ({ room }) => ({ rooms: [{ room_id: room.id, since: 0 }] }),
  sync: () => ({ since: 0 }),
  send_message: ({ message }) => ({ content: 'let me in', reply_to: message.id }),
  edit_message: ({ message }) => ({ message_id: message.id, content: 'taken over' }),
  delete_message: ({ message }) => ({ message_id: message.id }),
  add_reaction: ({ message }) => ({ message_id: message.id, emoji: '👎' }),
  remove_reaction: ({ message }) => ({ message_id: message.id, emoji: '👍' }),
  mark_read: () => ({ seq_no: 1 }),
  user_typing: () => ({}),
  user_stopped_typing: () => ({}),
};
const NAMING = (Object.keys(CLIENT_FRAMES) as ClientFrameType[]).filter(
  (type) => type !== 'authenticate' && type !== 'ping',
);

type Id = 'roomId' | 'messageId' | 'attachmentId' | 'userId' | 'sessionId' | 'emoji';

/** Bodies that would do something, were they allowed. */
const BODIES: Partial<Record<RouteName, (scene: Scene) => unknown>> = {
  patch_room: () => ({ name: 'taken over', slow_mode_s: 60 }),
  add_member: () => ({ user_id: people.stranger.id, role: 'member' }),
  patch_member: () => ({ role: 'member' }),
  ban_user: () => ({ reason: 'none' }),
  send_message: ({ message }) => ({ content: 'let me in', reply_to: message.id }),
  mark_read: () => ({ seq_no: 1 }),
  edit_message: () => ({ content: 'taken over' }),
  add_reaction: () => ({ emoji: '👎' }),
  report_message: () => ({ reason: 'none' }),
  presign_attachment: () => ({ file_name: 'a.png', file_type: 'image/png', file_size: 10 }),
};
const QUERIES: Partial<Record<RouteName, string>> = { search_messages: '?q=secret' };

/** The routes that lead to a room, by what they name. */
const ROOM_ROUTES = (Object.entries(ROUTES) as [RouteName, Route][]).filter(([, { path }]) =>
  /:(?:roomId|messageId|attachmentId)/.test(path),
);

function ask(name: RouteName, who: Who, scene: Scene, ids: Partial<Record<Id, string>> = {}) {
  const { method, path, form } = ROUTES[name] as Route;
  const all = {
    roomId: scene.room.id,
    messageId: scene.message.id,
    attachmentId: name === 'complete_attachment' ? scene.pending.id : scene.attached.id,
    userId: people.admin.id,
    emoji: '👍',
    ...ids,
  };
  const filled = path.replace(/:(\w+)/g, (_, id: string) =>
    encodeURIComponent(must(all[id as keyof typeof all], id)),
  );
  const { token } = people[who];
  if (form === true) {
    return upload(server.url, token, all.roomId, { bytes: Buffer.from('text'), type: 'text/plain' });
  }
  const body = BODIES[name]?.(scene);
  return rest.call(method.toUpperCase(), filled + (QUERIES[name] ?? ''), { token, body });
}

/** The same request about what was never there. */
const askNothing = (name: RouteName, who: Who, scene: Scene) =>
  ask(name, who, scene, { roomId: randomUUID(), messageId: randomUUID(), attachmentId: randomUUID() });

/** All that an answer tells. */
function told({ status, body, headers }: RestAnswer<unknown>): unknown {
  const names = [...headers.keys()].filter((name) => name !== 'date').sort();
  return { status, body: { ...body, request_id: 'any' }, names };
}

/** Everything that a request could change. */
async function everything(): Promise<string> {
  const tables = [
    ...['rooms', 'room_heads', 'room_members', 'bans', 'messages', 'message_edits', 'reactions'],
    ...['attachments', 'audit_log', 'reports'],
  ];
  const all = [];
  for (const table of tables) all.push(await sql`select to_jsonb(t) as row from ${sql(table)} t order by 1`);
  return JSON.stringify(all);
}

const codeOf = ({ status, body }: RestAnswer<unknown>): string => body.code ?? String(status);

describe.each(['private', 'direct'] as const)('a %s room', (kind) => {
  const outsiders = kind === 'direct' ? [...OUTSIDERS, 'moderator' as const] : OUTSIDERS;

  test.each(ROOM_ROUTES.map(([name]) => name))('%s: to outsiders it is not there', async (name) => {
    const before = await everything();
    for (const who of outsiders) {
      const answer = await ask(name, who, scenes[kind]);
      expect([who, codeOf(answer)]).toEqual([who, 'not_found']);
      expect(told(answer)).toEqual(told(await askNothing(name, who, scenes[kind])));
    }
    expect(await everything()).toBe(before);
  });
});

describe('a public room', () => {
  /** What everybody may do; all else is for members. */
  const OPEN: Partial<Record<RouteName, Readonly<Record<(typeof OUTSIDERS)[number], string>>>> = {
    get_room: { stranger: '200', former: '200', banned: '200' },
    join_room: { stranger: '200', former: '200', banned: 'banned' },
  };

  test.each(ROOM_ROUTES.map(([name]) => name))('%s: outsiders get what is public', async (name) => {
    const before = await everything();
    for (const who of OUTSIDERS) {
      const answer = await ask(name, who, scenes.public);
      const closed = name.endsWith('_attachment') || name === 'get_attachment_content';
      const hidden = closed && name !== 'upload_attachment' && name !== 'presign_attachment';
      const expected = OPEN[name]?.[who] ?? (hidden ? 'not_found' : 'not_a_member');
      expect([who, codeOf(answer)]).toEqual([who, expected]);
      if (name !== 'join_room') expect(JSON.stringify(answer.body)).not.toContain('secret');
      if (name === 'get_room') expect(answer.body.data).not.toHaveProperty('last_message');
      if (name === 'join_room') await rest.leave(people[who].token, scenes.public.room.id);
    }
    if (name !== 'join_room') expect(await everything()).toBe(before);
  });
});

describe('inside, against an admin', () => {
  const MODERATION = ['list_bans', 'list_audit', 'unban_user', 'ban_user', 'patch_member', 'remove_member'];
  const RULES: Record<(typeof INSIDERS)[number], Readonly<Record<string, readonly string[]>>> = {
    moderator: {
      forbidden: [
        ...['patch_room', 'delete_room', 'patch_member', 'remove_member', 'ban_user'],
        ...['edit_message', 'delete_message', 'delete_attachment'],
      ],
    },
    member: {
      forbidden: [
        ...['patch_room', 'delete_room', 'add_member', ...MODERATION, 'pin_message', 'unpin_message'],
        ...['edit_message', 'delete_message', 'delete_attachment'],
      ],
    },
    muted: {
      forbidden: [
        ...['patch_room', 'delete_room', 'add_member', ...MODERATION, 'pin_message', 'unpin_message'],
        ...['edit_message', 'delete_message', 'delete_attachment'],
      ],
      muted: ['send_message', 'add_reaction', 'upload_attachment', 'presign_attachment'],
    },
  };
  const rows = INSIDERS.flatMap((who) =>
    Object.entries(RULES[who]).flatMap(([code, names]) =>
      names.map((name) => [who, name as RouteName, code] as const),
    ),
  );

  test.each(rows)('a %s asking for %s is %s', async (who, name, code) => {
    for (const kind of ['public', 'private'] as const) {
      const before = await everything();
      expect(codeOf(await ask(name, who, scenes[kind]))).toBe(code);
      expect(await everything()).toBe(before);
    }
  });

  test.each(INSIDERS)('a file that somebody else has yet to attach is not there for a %s', async (who) => {
    const { room, pending } = scenes.private;
    const { token } = people[who];
    const before = await everything();
    for (const name of ['complete_attachment', 'get_attachment', 'get_attachment_content'] as const) {
      const answer = await ask(name, who, scenes.private, { attachmentId: pending.id });
      expect(told(answer)).toEqual(told(await askNothing(name, who, scenes.private)));
    }
    if (who !== 'muted') {
      const answer = await rest.send(token, room.id, { content: 'mine', attachment_ids: [pending.id] });
      const nothing = await rest.send(token, room.id, { content: 'mine', attachment_ids: [randomUUID()] });
      expect(codeOf(answer)).toBe('not_found');
      expect(told(answer)).toEqual(told(nothing));
    }
    expect(await everything()).toBe(before);
  });
});

describe('ids of another room, in a room of one’s own', () => {
  test.each(['reply_to', 'thread_root'])('%s: like one that is not there', async (member) => {
    const { token } = people.stranger;
    const own = dataOf(await rest.createRoom(token, { name: freshName('own'), type: 'private' }));
    const body = (id: string) => ({ content: 'a', [member]: id });
    const answer = await rest.send(token, own.id, body(scenes.private.message.id));
    expect(told(answer)).toEqual(told(await rest.send(token, own.id, body(randomUUID()))));
    expect(answer.status).toBe(404);
  });

  test.each(['before', 'after', 'around'])('the cursor %s: like one that is not there', async (cursor) => {
    const { token } = people.stranger;
    const own = dataOf(await rest.createRoom(token, { name: freshName('own'), type: 'private' }));
    const answer = await rest.messages(token, own.id, { [cursor]: scenes.private.message.id });
    expect(told(answer)).toEqual(told(await rest.messages(token, own.id, { [cursor]: randomUUID() })));
  });

  test('a message’s id, taken by somebody in another room: id_conflict tells nothing of it', async () => {
    const { token } = people.stranger;
    const own = dataOf(await rest.createRoom(token, { name: freshName('own'), type: 'private' }));
    const answer = await rest.send(token, own.id, { content: 'a', id: scenes.private.message.id });
    expect(codeOf(answer)).toBe('id_conflict');
    expect(JSON.stringify(answer.body)).not.toContain('secret');
  });
});

test('another user’s session is not there', async () => {
  const { admin, stranger } = people;
  const [session] = dataOf(await rest.sessions(admin.token));
  const answer = await rest.delete(`/auth/sessions/${must(session).id}`, stranger.token);
  expect(told(answer)).toEqual(told(await rest.delete(`/auth/sessions/${randomUUID()}`, stranger.token)));
  expect((await rest.get('/users/me', admin.token)).status).toBe(200);
});

describe.each(Object.values(Encoding))('over WebSocket in %s', (encoding) => {
  const clients = {} as Record<Who, WsClient>;

  beforeAll(async () => {
    for (const [who, { token }] of Object.entries(people)) {
      clients[who as Who] = await connect({ wsUrl: server.wsUrl, token, encoding });
    }
    return () => Promise.all(Object.values(clients).map((client) => client.close()));
  });

  function askFrame(type: ClientFrameType, who: Who, { room, message }: Target): Promise<Frame> {
    const payload = FRAMES[type]?.({ room, message });
    return clients[who].request(type, payload, CLIENT_FRAMES[type].room === 'none' ? undefined : room.id);
  }
  /** All that an answer tells, but for the ids that it repeats. */
  function toldBy({ type, room_id, payload }: Frame, { room, message }: Target): unknown {
    const text = JSON.stringify({ type, room_id, payload });
    return JSON.parse(text.replaceAll(room.id, 'the room').replaceAll(message.id, 'the message'));
  }
  const nothing = (): Target => ({ room: { id: randomUUID() }, message: { id: randomUUID() } });
  const codeOfFrame = ({ type, payload }: Frame): string => {
    if (type === 'error') return (payload as unknown as ErrorPayload).code;
    const [first] = (payload.rooms ?? []) as { code?: string }[];
    return first?.code ?? type;
  };

  describe.each(['private', 'direct'] as const)('a %s room', (kind) => {
    const outsiders = kind === 'direct' ? [...OUTSIDERS, 'moderator' as const] : OUTSIDERS;

    test.each(NAMING)('%s: to outsiders it is not there', async (type) => {
      const before = await everything();
      for (const who of outsiders) {
        const [target, absent] = [scenes[kind], nothing()];
        const answer = await askFrame(type, who, target);
        expect([who, codeOfFrame(answer)]).toEqual([who, type === 'leave_room' ? 'left' : 'not_found']);
        expect(toldBy(answer, target)).toEqual(toldBy(await askFrame(type, who, absent), absent));
      }
      expect(await everything()).toBe(before);
    });

    test('and nothing of it ever comes', async () => {
      const { room } = scenes[kind];
      dataOf(await rest.send(people.admin.token, room.id, { content: 'another secret' }));
      for (const who of outsiders) {
        await askFrame('sync', who, scenes[kind]); // through the shard that has told the members
        expect([who, clients[who].streams.has(room.id)]).toEqual([who, false]);
      }
    });
  });

  test.each(NAMING)('%s: in a public room it is for members', async (type) => {
    const before = await everything();
    for (const who of OUTSIDERS) {
      const answer = await askFrame(type, who, scenes.public);
      expect([who, codeOfFrame(answer)]).toEqual([who, type === 'leave_room' ? 'left' : 'not_a_member']);
      expect(JSON.stringify(answer)).not.toContain('secret');
    }
    expect(await everything()).toBe(before);
  });

  const OF_OTHERS = ['edit_message', 'delete_message'] as const;
  const OF_WRITERS = ['send_message', 'add_reaction', 'user_typing'] as const;
  const rows = [
    ...INSIDERS.flatMap((who) => OF_OTHERS.map((type) => [who, type, 'forbidden'] as const)),
    ...OF_WRITERS.map((type) => ['muted', type, 'muted'] as const),
  ];
  test.each(rows)('a %s asking for %s of an admin’s message is %s', async (who, type, code) => {
    for (const kind of ['public', 'private'] as const) {
      const before = await everything();
      expect(codeOfFrame(await askFrame(type, who, scenes[kind]))).toBe(code);
      expect(await everything()).toBe(before);
    }
  });
});

test('every frame that names something by an id is in these tests', () => {
  const elsewhere = Object.keys(CLIENT_FRAMES).filter((type) => !NAMING.some((each) => each === type));
  expect(elsewhere).toEqual(['authenticate', 'ping']);
  expect(Object.keys(FRAMES).sort()).toEqual([...NAMING].sort());
});

test('every route that names something by an id is in these tests', () => {
  const named = Object.entries(ROUTES).filter(([, { path }]) => path.includes(':'));
  const elsewhere = named.map(([name]) => name).filter((name) => !ROOM_ROUTES.some(([n]) => n === name));
  expect(elsewhere.sort()).toEqual(['end_session', 'get_user']);
});
