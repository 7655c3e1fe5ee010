import { duration, integer, networks } from '../config-values.js';
import { isUuid, type RoomId } from '../protocol/ids.js';
import type { Db } from '../store/client.js';
import { roomExists } from '../store/room-export.js';
import { findUser, type NamedUser } from '../store/suspensions.js';
import { Misused, NotFound } from './command.js';

const REASON_MAX = 500; // as the reasons of bans and reports

/** @throws NotFound */
export async function userNamed(db: Db, idOrName: string): Promise<NamedUser> {
  const user = await findUser(db, idOrName);
  if (user === null) throw new NotFound(`there is no user ${JSON.stringify(idOrName)}`);
  return user;
}

/** As {@link userNamed}, of an account that isn't deleted. */
export async function accountNamed(db: Db, idOrName: string): Promise<NamedUser> {
  const user = await userNamed(db, idOrName);
  if (user.deleted) throw new NotFound(`the account of ${user.id} is deleted`);
  return user;
}

/** The room with this id, deleted ones too. @throws NotFound */
export async function roomNamed(db: Db, id: string): Promise<RoomId> {
  if (!isUuid(id) || !(await roomExists(db, id as RoomId))) {
    throw new NotFound(`there is no room ${JSON.stringify(id)}`);
  }
  return id as RoomId;
}

/** `--for` as milliseconds; null where it isn't given. @throws Misused */
export function durationOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = duration.parse(text);
  if (ms === undefined) throw new Misused(`--for takes ${duration.allowed}`);
  return ms;
}

/** `--reason`; null where it isn't given. @throws Misused */
export function reasonOf(text: string | undefined): string | null {
  if (text !== undefined && text.length > REASON_MAX) {
    throw new Misused(`--reason takes at most ${REASON_MAX} characters`);
  }
  return text ?? null;
}

/** @throws Misused */
export function countOf(what: string, text: string, max: number): number {
  const parser = integer(1, max);
  const count = parser.parse(text);
  if (count === undefined) throw new Misused(`${what} takes ${parser.allowed}`);
  return count;
}

/** An address or a CIDR range. @throws Misused */
export function networkOf(text: string): string {
  const [network, ...more] = text.includes('%') ? [] : (networks.parse(text) ?? []);
  if (network === undefined || more.length > 0) {
    throw new Misused(`${JSON.stringify(text)} is no IP address and no CIDR range`);
  }
  const [address = ''] = network.split('/');
  // Clients with such an address are taken for the IPv4 address that it stands for: a block would never match.
  if (address.includes(':') && new URL(`http://[${address}]`).hostname.startsWith('[::ffff:')) {
    throw new Misused(`write ${network} as the IPv4 address that it stands for`);
  }
  return network;
}

/** When something ends, for people. */
export function untilText(forMs: number | null): string {
  return forMs === null ? 'until it is lifted' : `until ${new Date(Date.now() + forMs).toISOString()}`;
}
