import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Refusal } from './errors.js';

/** Checks a decoded value against a schema; throws a `bad_request` that names the first wrong member. */
export type Validate<T> = (value: unknown) => T;

/** Compiles a schema once into a fast check. */
export function validator<S extends TSchema>(schema: S): Validate<Static<S>> {
  const compiled = Compile(schema);
  return (value) => {
    if (compiled.Check(value)) return value as Static<S>;
    throw refusalFor(compiled.Errors(value));
  };
}

interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

function refusalFor(errors: readonly SchemaError[]): Refusal {
  const error = errors[0];
  if (error === undefined) return new Refusal('bad_request');
  const { params } = error as { params: { requiredProperties?: string[]; additionalProperties?: string[] } };
  const missing = params.requiredProperties?.[0];
  const unknown = error.keyword === 'boolean' ? '' : params.additionalProperties?.[0];
  const path = error.instancePath.split('/').slice(1);
  if (missing !== undefined) path.push(missing);
  else if (unknown) path.push(unknown);
  const field = path.join('.');
  if (missing !== undefined) return new Refusal('bad_request', { field, sentence: `Missing: ${field}` });
  if (unknown !== undefined)
    return new Refusal('bad_request', { field, sentence: `Unknown member: ${field}` });
  const subject = field === '' ? 'The body' : field;
  return new Refusal('bad_request', {
    field: field === '' ? undefined : field,
    sentence: `${subject} ${error.message}.`,
  });
}
