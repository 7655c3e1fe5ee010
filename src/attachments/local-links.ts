import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/** What a link to local storage allows; `until` is epoch seconds. */
export type Grant =
  | {
      readonly op: 'get';
      readonly key: string;
      readonly until: number;
      readonly type: string;
      readonly disposition: string;
    }
  | {
      readonly op: 'put';
      readonly key: string;
      readonly until: number;
      readonly size: number;
      /** Of an upload in parts. */
      readonly part?: readonly [upload_id: string, part_number: number];
    };

const INFO = 'parley local storage links'; // so that no other use of the secret makes the same key
const KEY_BYTES = 32; // as long as the hash
const TOKEN_MAX_CHARACTERS = 4_096; // a name of 255 characters, percent-encoded, fits

/** Signs grants into URL-safe tokens, and reads them. */
export interface GrantSigner {
  sign(grant: Grant): string;
  /** null: not signed here, or over. */
  read(token: string, nowMs: number): Grant | null;
}

/** @param previous secrets that sign nothing; what they signed is read */
export function grantSigner(secret: string, previous: readonly string[] = []): GrantSigner {
  const own = macOf(secret);
  const macs = [own, ...previous.map(macOf)];
  return {
    sign(grant) {
      const body = Buffer.from(JSON.stringify(grant)).toString('base64url');
      return `${body}.${own(body).toString('base64url')}`;
    },
    read(token, nowMs) {
      const [body = '', signature = '', ...rest] = token.slice(0, TOKEN_MAX_CHARACTERS).split('.');
      const given = Buffer.from(signature, 'base64url');
      if (rest.length > 0 || !macs.some((mac) => isSame(given, mac(body)))) return null;
      const grant = JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as Grant;
      return grant.until * 1_000 > nowMs ? grant : null;
    },
  };
}

function macOf(secret: string): (body: string) => Buffer {
  const key = Buffer.from(hkdfSync('sha256', secret, '', INFO, KEY_BYTES));
  return (body) => createHmac('sha256', key).update(body).digest();
}

function isSame(given: Buffer, right: Buffer): boolean {
  return given.length === right.length && timingSafeEqual(given, right);
}
