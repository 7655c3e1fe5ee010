import Type, { type TSchema } from 'typebox';
import { Refusal } from '../protocol/errors.js';
import { isUuid } from '../protocol/ids.js';
import { Emoji } from '../protocol/requests.js';
import { checkValue } from '../protocol/strict-json.js';
import { type Validate, validator } from '../protocol/validate.js';

/** Compiles a query's schema into a reader of raw query strings (without `?`), which throws `bad_request`. */
export function queryReader(schema: TSchema | null): (raw: string) => unknown {
  if (schema === null) return () => null;
  const { properties } = schema as { properties?: Record<string, { type?: string }> };
  const known = new Map(
    Object.entries(properties ?? {}).map(([name, { type }]) => [name, type === 'integer']),
  );
  const validate: Validate<unknown> = validator(schema);
  return (raw) => {
    const values: Record<string, string | number> = {};
    for (const part of raw.split('&')) {
      if (part === '') continue;
      const equals = part.indexOf('=');
      const name = decode(equals === -1 ? part : part.slice(0, equals));
      const value = decode(equals === -1 ? '' : part.slice(equals + 1));
      const isInteger = known.get(name);
      if (isInteger === undefined) continue;
      if (Object.hasOwn(values, name)) {
        throw new Refusal('bad_request', { field: name, sentence: `Given twice: ${name}` });
      }
      values[name] = isInteger && /^\d{1,15}$/.test(value) ? Number(value) : value;
    }
    checkValue(values, '', 0);
    return validate(values);
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new Refusal('bad_request', { sentence: 'The query has invalid percent-encoding.' });
  }
}

/** The names of a path pattern's parameters, in order. */
export function parameterNames(path: string): readonly string[] {
  return path
    .split('/')
    .filter((segment) => segment.startsWith(':'))
    .map((segment) => segment.slice(1));
}

const isEmoji = validator(Type.Object({ emoji: Emoji }));

/**
 * Checks path parameters: canonical UUIDs, but for `emoji`, which comes percent-encoded. Throws a `bad_request`
 * that names the first that isn't one. @returns the parameters decoded
 */
export function checkParams(params: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (params.emoji !== undefined) {
    const { emoji: raw, ...ids } = params;
    const emoji = decode(raw.replaceAll('+', '%2B')); // a plus is a plus in a path
    checkValue(emoji, 'emoji', 0);
    isEmoji({ emoji });
    return { ...checkParams(ids), emoji };
  }
  for (const [name, value] of Object.entries(params)) {
    if (!isUuid(value))
      throw new Refusal('bad_request', { field: name, sentence: `${name} must be a UUID.` });
  }
  return params;
}

/** The token of an Authorization header, or null where it is absent or of another scheme. */
export function bearerToken(authorization: string): string | null {
  return /^bearer +(\S+)$/i.exec(authorization)?.[1] ?? null;
}
