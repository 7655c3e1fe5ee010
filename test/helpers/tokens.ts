import jwt from 'jsonwebtoken';
import { JWT_SECRET } from './server-process.js';

/** What an access token says. */
type Claims = Readonly<Record<string, unknown>>;

export function claimsOf(token: string): Claims {
  return jwt.decode(token, { json: true }) ?? {};
}

/** A token with the claims of `token` and some changed, signed with the server's secret unless said otherwise. */
export function resigned(
  token: string,
  changes: Claims,
  options: { readonly algorithm?: jwt.Algorithm; readonly secret?: string } = {},
): string {
  const claims = { ...claimsOf(token), ...changes };
  return jwt.sign(claims, options.secret ?? JWT_SECRET, { algorithm: options.algorithm ?? 'HS256' });
}

/** `alg: none`, as no library would sign it by mistake. */
export function unsigned(token: string): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none', typ: 'JWT' })}.${part(claimsOf(token))}.`;
}
