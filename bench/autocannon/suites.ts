/** The REST suites: what is asked, how often, and the marks that it has to meet. */
import { asMembers, type Members } from '../load/frame-read.js';
import { filler, seededRandom } from '../load/random.js';
import { mapBounded, needString, type RestClient } from '../load/rest-client.js';

/** Response times in milliseconds at a stated load: the project's targets for its API. */
export interface Marks {
  readonly p50: number;
  readonly p99: number;
}

export const API_MARKS: Marks = { p50: 50, p99: 200 };
/** At 1,000 mixed requests a second. */
const MIXED_MARKS: Marks = { p50: 5, p99: 50 };

/** A request of a suite. */
export interface Asked {
  readonly method: 'GET' | 'POST';
  /** Below /api/v1. */
  readonly path: string;
  readonly body: Members | undefined;
}

export interface Suite {
  readonly name: string;
  /** Asked in turn, by every connection. */
  readonly requests: readonly Asked[];
  readonly token: string | undefined;
  /** Requests a second over all connections; a whole number for each. */
  readonly rate: number;
  /** Clients, spread evenly over the second in which each asks its share. */
  readonly connections: number;
  readonly marks: Marks;
}

export const SUITE_NAMES = ['health', 'history', 'send', 'search', 'login', 'mixed'] as const;
export type SuiteName = (typeof SUITE_NAMES)[number];

/** What the suites work on. */
export interface RestScene {
  readonly token: string;
  readonly email: string;
  readonly password: string;
  readonly roomIds: readonly string[];
}

interface SceneSize {
  readonly rooms: number;
  readonly messagesPerRoom: number;
}

const PARALLEL_REQUESTS = 16;
const CONTENT_BYTES = 120;

/** A user with rooms full of messages. Throws with the server's answer when something is refused. */
export async function makeRestScene(rest: RestClient, size: SceneSize): Promise<RestScene> {
  const run = Date.now().toString(36);
  const email = `rest-${run}@bench.example.com`;
  const password = `bench-${run}-password`;
  const registered = await rest.call('POST', '/auth/register', undefined, {
    username: `rest-${run}`,
    email,
    password,
  });
  const token = needString(registered, 'token');
  needString(asMembers(registered.user), 'id');
  const rooms = Array.from({ length: size.rooms }, (_, index) => index);
  const roomIds = await mapBounded(rooms, PARALLEL_REQUESTS, async (index) => {
    const room = await rest.call('POST', '/rooms', token, { name: `rest ${run} ${index}`, type: 'private' });
    return needString(room, 'id');
  });
  const random = seededRandom(1);
  const places = Array.from({ length: size.rooms * size.messagesPerRoom }, (_, index) => index);
  await mapBounded(places, PARALLEL_REQUESTS, async (index) => {
    await rest.call('POST', `/rooms/${roomIds[index % size.rooms]}/messages`, token, {
      content: `number ${index} ${filler(CONTENT_BYTES, random)}`,
    });
  });
  return { token, email, password, roomIds };
}

const CLIENTS_MAX = 100;

/** A rate over as many clients as go, each with a whole number of requests a second; rounded to what they make. */
function spread(rate: number): Pick<Suite, 'rate' | 'connections'> {
  const connections = Math.min(CLIENTS_MAX, Math.max(1, Math.round(rate)));
  return { connections, rate: Math.max(1, Math.round(rate / connections)) * connections };
}

/** The suites by name. @param load multiplies every rate. */
export function suitesOf(scene: RestScene, load: number): Record<SuiteName, Suite> {
  const { token, roomIds } = scene;
  const common = { token, marks: API_MARKS };
  const get = (path: string): Asked => ({ method: 'GET', path, body: undefined });
  const inRooms = (below: string) => roomIds.map((id) => `/rooms/${id}/messages${below}`);
  const history = inRooms('?limit=50').map(get);
  const body = { content: filler(CONTENT_BYTES, seededRandom(2)) };
  const send = inRooms('').map((path): Asked => ({ method: 'POST', path, body }));
  const search = ['acknowledged', 'room+open', 'message+-nobody'].flatMap((words) =>
    inRooms(`/search?q=${words}&limit=20`).map(get),
  );
  return {
    health: {
      ...common,
      name: 'health',
      requests: [get('/health')],
      token: undefined,
      ...spread(500 * load),
    },
    history: { ...common, name: 'history', requests: history, ...spread(300 * load) },
    send: { ...common, name: 'send', requests: send, ...spread(500 * load) },
    search: { ...common, name: 'search', requests: search, ...spread(100 * load) },
    mixed: {
      ...common,
      name: 'mixed',
      // Of ten: four pages of history, three sends, a search, the list of rooms, somebody's profile.
      requests: roomIds.flatMap((id, i) => {
        const [page, sent] = [get(`/rooms/${id}/messages?limit=50`), send.slice(i, i + 1)];
        const others = [...search.slice(i, i + 1), get('/rooms?limit=20'), get('/users/me')];
        return [page, ...sent, page, ...others.slice(0, 1), ...sent, page, ...others.slice(1), ...sent, page];
      }),
      marks: MIXED_MARKS,
      ...spread(1_000 * load),
    },
    // A login is dear on purpose (Argon2id): few of them a second are a full core.
    login: {
      ...common,
      name: 'login',
      requests: [
        { method: 'POST', path: '/auth/login', body: { email: scene.email, password: scene.password } },
      ],
      token: undefined,
      ...spread(10 * load),
    },
  };
}
