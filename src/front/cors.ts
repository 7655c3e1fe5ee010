export type Header = readonly [name: string, value: string];

export interface Cors {
  /**
   * May a page of this origin speak to the server, whose name in the Host header was `host`? Requests without
   * an Origin (''), which no browser makes across origins, may. For REST and the WebSocket upgrade.
   */
  originAllowed(origin: string, host: string): boolean;
  /** What every answer carries: nothing unless the origin is a foreign one and allowed. */
  headers(origin: string, host: string): readonly Header[];
  /** What a preflight's answer carries beside `headers`. */
  preflightHeaders(origin: string, host: string): readonly Header[];
}

const NONE: readonly Header[] = [];
const PREFLIGHT: readonly Header[] = [
  ['access-control-allow-methods', 'GET, POST, PUT, PATCH, DELETE'],
  ['access-control-allow-headers', 'authorization, content-type, x-request-id'],
  ['access-control-max-age', '600'],
];

/** @param allowedOrigins origins as browsers send them, lower case, beside the server's own (ALLOWED_ORIGINS) */
export function createCors(allowedOrigins: readonly string[]): Cors {
  const allowed = new Set(allowedOrigins);
  const foreignAndAllowed = (origin: string, host: string): boolean =>
    origin !== '' && !sameOrigin(origin, host) && allowed.has(origin.toLowerCase());
  return {
    originAllowed: (origin, host) =>
      origin === '' || allowed.has(origin.toLowerCase()) || sameOrigin(origin, host),
    headers: (origin, host) =>
      foreignAndAllowed(origin, host)
        ? [
            ['access-control-allow-origin', origin],
            ['access-control-expose-headers', 'x-request-id, retry-after'],
            ['vary', 'Origin'],
          ]
        : NONE,
    preflightHeaders: (origin, host) => (foreignAndAllowed(origin, host) ? PREFLIGHT : NONE),
  };
}

/** Compares hosts only: behind a proxy that ends TLS the server doesn't know its own scheme. */
function sameOrigin(origin: string, host: string): boolean {
  const [, scheme = '', name = ''] = /^(https?):\/\/([^/?#@\\\s]+)$/i.exec(origin) ?? [];
  if (name === '' || host === '' || /[/?#@\\\s]/.test(host)) return false;
  const wanted = normalHost(scheme, name);
  return wanted !== null && wanted === normalHost(scheme, host);
}

/** Lower case and without the scheme's default port. */
function normalHost(scheme: string, host: string): string | null {
  const url = `${scheme}://${host}`;
  return URL.canParse(url) ? new URL(url).host : null;
}
