import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import type { Config } from '../config.js';
import { peerAddress, type Trusted, trustedProxies } from './client-address.js';

/**
 * Where a client has called this server, for links to the server's own disk in what it is answered:
 * `https://chat.example.org`, without a slash. '' where that isn't known for certain, or isn't needed as links don't
 * lead here or have PUBLIC_URL: then they stay as they are.
 */
export type OriginReader = (res: HttpResponse, req: HttpRequest) => string;

export function originReader(
  config: Pick<Config, 'storage' | 'attachments' | 'trustProxy' | 'tls'>,
): OriginReader {
  if (config.storage.type !== 'local' || config.attachments.publicUrl !== null) return () => '';
  const trusted = trustedProxies(config.trustProxy);
  const scheme = config.tls === null ? 'http' : 'https';
  return (res, req) => {
    const headers = {
      host: req.getHeader('host'),
      forwardedHost: req.getHeader('x-forwarded-host'),
      forwardedProto: req.getHeader('x-forwarded-proto'),
      isForwarded: FORWARDED.some((name) => req.getHeader(name) !== ''),
    };
    return ownOrigin(scheme, headers, () => peerAddress(res), trusted);
  };
}

/** What proxies add. One that isn't trusted may end TLS, so that neither scheme nor host can be told. */
const FORWARDED = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded', 'via'] as const;

/** @param scheme of the server itself @param peer read only where it matters */
export function ownOrigin(
  scheme: 'http' | 'https',
  headers: {
    readonly host: string;
    readonly forwardedHost: string;
    readonly forwardedProto: string;
    readonly isForwarded: boolean;
  },
  peer: () => string,
  trusted: Trusted,
): string {
  if (!headers.isForwarded) return originOf(scheme, headers.host);
  if (!trusted(peer())) return '';
  const proto = headers.forwardedProto.toLowerCase();
  if (proto !== 'http' && proto !== 'https') return '';
  return originOf(proto, headers.forwardedHost === '' ? headers.host : headers.forwardedHost);
}

/** A name or an address, and maybe a port: nothing by which a URL would lead elsewhere. */
const HOST = /^(?:[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?\.?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

function originOf(scheme: string, host: string): string {
  const url = `${scheme}://${host}`;
  return HOST.test(host) && URL.canParse(url) ? new URL(url).origin : '';
}
