/**
 * Parsers for the values of settings. Each says in `allowed` what it takes, so that a mistake at start, the
 * generated docs and the code can't disagree. A parser returns `undefined` for what it doesn't take.
 */
import { isIP } from 'node:net';

/** What a setting's text may be, and its value. `parse` never throws. */
export interface ValueParser<T> {
  readonly allowed: string;
  readonly parse: (text: string) => T | undefined;
}

const MS_PER_UNIT = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTES_PER_UNIT = {
  '': 1,
  b: 1,
  kb: 1_000,
  mb: 1_000 ** 2,
  gb: 1_000 ** 3,
  kib: 1_024,
  mib: 1_024 ** 2,
  gib: 1_024 ** 3,
} as const;
const LONGEST_DURATION_MS = 3_650 * MS_PER_UNIT.d; // ten years: longer is a slip of the finger

const count = (value: number): string => value.toLocaleString('en-US');

/** A whole number from `min` to `max`, both included. */
export function integer(min: number, max: number): ValueParser<number> {
  return {
    allowed: `a whole number from ${count(min)} to ${count(max)}`,
    parse: (text) => {
      if (!/^\d{1,15}$/.test(text)) return undefined;
      const value = Number(text);
      return value >= min && value <= max ? value : undefined;
    },
  };
}

/** One of the given words, as written. */
export function oneOf<const T extends string>(...words: readonly T[]): ValueParser<T> {
  return { allowed: `one of ${words.join(', ')}`, parse: (text) => words.find((word) => word === text) };
}

/** Any text; what it must look like, if anything, is the pattern's business and said in `allowed`. */
export function text(allowed: string, pattern = /./s): ValueParser<string> {
  return { allowed, parse: (raw) => (pattern.test(raw) ? raw : undefined) };
}

/** A secret of at least `minBytes` bytes in UTF-8. */
export function secretOf(minBytes: number): ValueParser<string> {
  return {
    allowed: `at least ${minBytes} bytes`,
    parse: (raw) => (Buffer.byteLength(raw) >= minBytes ? raw : undefined),
  };
}

/** Up to `max` such secrets, separated by commas; a blank around one would be a part of it, and is a mistake. */
export function secretsOf(minBytes: number, max: number): ValueParser<readonly string[]> {
  const one = secretOf(minBytes);
  return {
    allowed: `at most ${max} secrets of ${one.allowed}, separated by commas without blanks`,
    parse: (raw) => {
      const secrets = raw.split(',');
      const isList =
        secrets.length <= max && secrets.every((each) => each === each.trim() && one.parse(each));
      return isList ? secrets : undefined;
    },
  };
}

/** A number with `s`, `m`, `h` or `d`, as milliseconds; at least one second, at most ten years. */
export const duration: ValueParser<number> = {
  allowed: 'a whole number with s, m, h or d, such as 24h',
  parse: (raw) => {
    const match = /^(\d{1,12})([smhd])$/.exec(raw);
    if (!match) return undefined;
    const value = Number(match[1]) * MS_PER_UNIT[match[2] as keyof typeof MS_PER_UNIT];
    return value >= MS_PER_UNIT.s && value <= LONGEST_DURATION_MS ? value : undefined;
  },
};

/** A count of bytes, with or without a unit (`262144`, `256 KiB`, `100MB`), as a number of bytes. */
export function byteCount(min: number, max: number): ValueParser<number> {
  return {
    allowed: `bytes, or a whole number with KiB, MiB or GiB, from ${count(min)} to ${count(max)} bytes`,
    parse: (raw) => {
      const match = /^(\d{1,15}) ?(b|kb|mb|gb|kib|mib|gib|)$/i.exec(raw);
      if (!match) return undefined;
      const unit = (match[2] ?? '').toLowerCase() as keyof typeof BYTES_PER_UNIT;
      const value = Number(match[1]) * BYTES_PER_UNIT[unit];
      return value >= min && value <= max ? value : undefined;
    },
  };
}

/** A host name or an IP address, without brackets or port. */
export const host: ValueParser<string> = {
  allowed: 'a host name or an IP address',
  parse: (raw) => {
    const isName = /^\w[\w.-]{0,252}$/.test(raw) && !/^[\d.]+$/.test(raw); // 256.1.1.1 is no name
    return isName || isIP(raw) !== 0 ? raw : undefined;
  },
};

/** A URL with a host and one of the given schemes. The text is kept as given. */
export function url(...schemes: readonly string[]): ValueParser<string> {
  return {
    allowed: `a URL that starts with ${schemes.map((scheme) => `${scheme}://`).join(' or ')} and names a host`,
    parse: (raw) => {
      const parsed = URL.canParse(raw) ? new URL(raw) : undefined;
      const known = parsed !== undefined && schemes.includes(parsed.protocol.slice(0, -1));
      return known && parsed.hostname !== '' ? raw : undefined;
    },
  };
}

/** An http(s) URL; `host:port` alone means http. The answer is a URL without a trailing slash. */
export const endpoint: ValueParser<string> = {
  allowed: 'an http:// or https:// URL, or host:port (which means http)',
  parse: (raw) => {
    const full = /^https?:\/\//i.test(raw) ? raw : `http://${raw}`;
    if (raw.includes('://') && full !== raw) return undefined;
    if (!URL.canParse(full) || new URL(full).search !== '' || new URL(full).hash !== '') return undefined;
    return new URL(full).href.replace(/\/$/, '');
  },
};

/** Splits at commas, drops blanks; `undefined` when one entry is refused. */
function listOf(
  allowed: string,
  parseOne: (entry: string) => string | undefined,
): ValueParser<readonly string[]> {
  return {
    allowed: `a comma-separated list of ${allowed}`,
    parse: (raw) => {
      const entries = raw.split(',').map((entry) => entry.trim());
      const parsed = entries.filter((entry) => entry !== '').map(parseOne);
      return parsed.every((entry) => entry !== undefined) ? [...new Set(parsed)] : undefined;
    },
  };
}

/** Web origins as browsers send them: scheme, host, port where it isn't the scheme's own, in lower case. */
export const origins = listOf('origins such as https://chat.example.org (no path; * is refused)', (entry) => {
  if (!/^https?:\/\//i.test(entry) || !URL.canParse(entry)) return undefined;
  const parsed = new URL(entry);
  const bare =
    parsed.pathname === '/' && parsed.search === '' && parsed.hash === '' && parsed.username === '';
  return bare && !parsed.hostname.includes('*') ? parsed.origin : undefined;
});

/** IP addresses and CIDR ranges, v4 and v6. */
export const networks = listOf('IP addresses or CIDR ranges (not a number of hops)', (entry) => {
  const [address = '', prefix, ...rest] = entry.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return undefined;
  if (prefix === undefined) return entry;
  const longest = family === 4 ? 32 : 128;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= longest ? entry : undefined;
});

/** A duration of at most `longest`. */
export function durationUpTo(longest: string): ValueParser<number> {
  const most = duration.parse(longest) ?? 0;
  return {
    allowed: `${duration.allowed}, at most ${longest}`,
    parse: (raw) => {
      const value = duration.parse(raw);
      return value !== undefined && value <= most ? value : undefined;
    },
  };
}

/** Media types as in `image/png`, or with `*` for the rest, as in `audio/*`. */
export const mediaTypes = listOf('media types such as image/png or audio/*', (entry) =>
  /^[a-z]+\/(?:[a-z0-9][a-z0-9.+-]*)?\*?$/i.test(entry) && !entry.endsWith('/')
    ? entry.toLowerCase()
    : undefined,
);
