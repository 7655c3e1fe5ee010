/** What the runner, or a person with `k6 run -e`, tells a script. */

function numberOf(name: string, fallback: number): number {
  const text = __ENV[name];
  const value = text === undefined || text === '' ? fallback : Number(text);
  if (!Number.isFinite(value)) throw new Error(`${name} must be a number, not '${text}'`);
  return value;
}

/** Of the server. */
export const ORIGIN = __ENV.BASE_URL ?? 'http://127.0.0.1:8080';
export const API = `${ORIGIN}/api/v1`;
export const SOCKET_URL = `${ORIGIN.replace(/^http/, 'ws')}/api/v1/ws`;

/** Virtual users, each with an account and a socket of its own. */
export const VUS = numberOf('VUS', 50);

/** Rooms; the users go round them. */
export const ROOMS = numberOf('ROOMS', 10);

/** Messages a second of each user, or requests a second of all in rest-history. */
export const RATE = numberOf('RATE', 1);

/** How long a script loads the server. */
export const SECONDS = numberOf('SECONDS', 30);

/** Where the summary goes, as JSON. */
export const SUMMARY_FILE = __ENV.SUMMARY_FILE;
