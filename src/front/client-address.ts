import type { HttpResponse } from 'uWebSockets.js';
import { BlockList, isIP } from 'node:net';

/**
 * The client's address: the peer's, or where the peer is a trusted proxy, the nearest hop in X-Forwarded-For
 * that isn't one. What a client wrote into the header itself lies left of that and is never believed.
 */
export type AddressReader = (res: HttpResponse, xForwardedFor: string) => string;

/** @param trustProxy IP addresses and CIDR ranges (TRUST_PROXY) */
export function addressReader(trustProxy: readonly string[]): AddressReader {
  const trusted = trustedProxies(trustProxy);
  return (res, xForwardedFor) => forwardedAddress(rawPeer(res), xForwardedFor, trusted);
}

/** The normalised address of the other end of the connection; '' where it has none. */
export function peerAddress(res: HttpResponse): string {
  return normalAddress(rawPeer(res)) ?? '';
}

function rawPeer(res: HttpResponse): string {
  return Buffer.from(res.getRemoteAddressAsText()).toString('latin1');
}

/** Tells whether a normalised address is a trusted proxy's. */
export type Trusted = (address: string) => boolean;

export function trustedProxies(trustProxy: readonly string[]): Trusted {
  if (trustProxy.length === 0) return () => false;
  const list = new BlockList();
  for (const entry of trustProxy) {
    const [network = '', prefix] = entry.split('/');
    const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(network, family);
    else list.addSubnet(network, Number(prefix), family);
  }
  return (address) => {
    const version = isIP(address);
    return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4');
  };
}

/** @returns a normalised address; '' where the peer has none (a Unix socket, or one that is gone) */
export function forwardedAddress(peer: string, xForwardedFor: string, trusted: Trusted): string {
  let address = normalAddress(peer) ?? '';
  if (xForwardedFor === '' || !trusted(address)) return address;
  for (const hop of xForwardedFor.split(',').reverse()) {
    const next = normalAddress(withoutPort(hop.trim()));
    if (next === null) return address;
    address = next;
    if (!trusted(address)) return address;
  }
  return address;
}

const MAPPED_IPV4 = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/** IPv6 in its shortest form, IPv4-mapped addresses as IPv4; null where the text is no address. */
export function normalAddress(text: string): string | null {
  const version = isIP(text);
  if (version === 4) return text;
  if (version === 0 || text.includes('%')) return null;
  const short = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const mapped = MAPPED_IPV4.exec(short);
  if (mapped === null) return short;
  const [high = 0, low = 0] = mapped.slice(1).map((group) => Number.parseInt(group, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/**
 * What limits and counts go by: an IPv4 address, or of an IPv6 address its /64, as that is what one client is given, who
 * may take any address in it.
 *
 * @param address normalised
 */
export function limitKey(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':');
    while (groups.length + after.length < 8) groups.push('0');
    groups.push(...after);
  }
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** Some proxies write `192.0.2.1:4711` and `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(hop);
  if (bracketed !== null) return bracketed[1] ?? '';
  return /^([0-9.]+):\d+$/.exec(hop)?.[1] ?? hop;
}
