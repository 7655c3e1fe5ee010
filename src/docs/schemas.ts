import type { TSchema } from 'typebox';
import {
  Attachment,
  AuditEntry,
  Ban,
  Me,
  Member,
  Message,
  MessageEdit,
  MyRoom,
  Reaction,
  Room,
  SearchHit,
  Session,
  User,
} from '../protocol/model.js';

/** A JSON Schema (2020-12) as it stands in a document. */
export type JsonSchema = { readonly [member: string]: unknown };

const NAMED: Record<string, TSchema> = {
  User,
  Me,
  Room,
  MyRoom,
  Member,
  Message,
  MessageEdit,
  SearchHit,
  Reaction,
  Attachment,
  Session,
  Ban,
  AuditEntry,
};

const nameOf = new Map(Object.entries(NAMED).map(([name, schema]) => [JSON.stringify(schema), name]));

/** A schema with every shape of PROTOCOL §1 in it replaced by a reference to the components. */
export function referring(schema: TSchema): JsonSchema {
  return walk(JSON.parse(JSON.stringify(schema)), true) as JsonSchema;
}

/** The shapes of PROTOCOL §1 by name, referring to each other. */
export function components(): Record<string, JsonSchema> {
  return Object.fromEntries(
    Object.entries(NAMED).map(([name, schema]) => [
      name,
      walk(JSON.parse(JSON.stringify(schema)), false) as JsonSchema,
    ]),
  );
}

function walk(value: unknown, mayRefer: boolean): unknown {
  if (Array.isArray(value)) return value.map((entry) => walk(entry, true));
  if (typeof value !== 'object' || value === null) return value;
  const name = nameOf.get(JSON.stringify(value));
  if (mayRefer && name !== undefined) return { $ref: `#/components/schemas/${name}` };
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, walk(member, true)]));
}

/** The schema as a type in TypeScript's notation, for people to read. */
export function readable(schema: JsonSchema): string {
  const {
    $ref,
    anyOf,
    type,
    items,
    properties,
    required,
    enum: values,
  } = schema as {
    $ref?: string;
    anyOf?: JsonSchema[];
    type?: string;
    items?: JsonSchema;
    properties?: Record<string, JsonSchema>;
    required?: string[];
    enum?: unknown[];
  };
  if ($ref !== undefined) return $ref.slice($ref.lastIndexOf('/') + 1);
  if ('const' in schema) return JSON.stringify(schema.const);
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(' | ');
  if (anyOf !== undefined) return anyOf.map(readable).join(' | ');
  if (type === 'array') {
    const inner = readable(items ?? {});
    return inner.includes(' | ') ? `(${inner})[]` : `${inner}[]`;
  }
  if (type === 'object' && properties !== undefined) {
    const members = Object.entries(properties).map(
      ([name, member]) => `${name}${required?.includes(name) ? '' : '?'}: ${readable(member)}`,
    );
    return members.length === 0 ? '{}' : `{ ${members.join('; ')} }`;
  }
  if (type === 'object') return 'object';
  return type === undefined ? 'any' : type;
}
