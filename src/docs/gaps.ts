import { ROUTES } from '../http/routes.js';
import { CLIENT_FRAMES } from '../protocol/frames.js';
import { CLIENT_FRAME_NOTES, SERVER_FRAMES } from '../protocol/server-frames.js';
import { PLAIN_ROUTES } from './openapi.js';

/** What the documents are made of, as loosely typed as something forgotten would be. */
export interface DocumentedTables {
  readonly routes: Table;
  readonly clientFrames: Table;
  readonly serverFrames: Table;
}

type Table = Readonly<Record<string, Entry>>;

interface Entry {
  readonly summary?: unknown;
  /** Of a route. */
  readonly data?: unknown;
  /** Of a frame. */
  readonly payload?: unknown;
  readonly errors?: unknown;
}

/** The tables that the server itself works with. */
export function documentedTables(): DocumentedTables {
  const types = new Set([...Object.keys(CLIENT_FRAMES), ...Object.keys(CLIENT_FRAME_NOTES)]);
  const [frames, notes]: [Table, Table] = [CLIENT_FRAMES, CLIENT_FRAME_NOTES];
  return {
    routes: { ...ROUTES, ...PLAIN_ROUTES },
    clientFrames: Object.fromEntries([...types].map((type) => [type, { ...frames[type], ...notes[type] }])),
    serverFrames: SERVER_FRAMES,
  };
}

/**
 * What the documents fail to say: a schema, a sentence of description, or a list of errors, which is there though empty
 * where a request can't be refused in a way of its own. Frames of the server can't be refused: they have no list.
 *
 * @returns one line for each gap
 */
export function documentGaps({ routes, clientFrames, serverFrames }: DocumentedTables): string[] {
  return [
    ...Object.entries(routes).flatMap(([name, { data, ...route }]) => gapsOf(`route ${name}`, data, route)),
    ...Object.entries(clientFrames).flatMap(([type, { payload, ...frame }]) =>
      gapsOf(`frame ${type} of clients`, payload, frame),
    ),
    ...Object.entries(serverFrames).flatMap(([type, { payload, summary }]) =>
      gapsOf(`frame ${type} of the server`, payload, { summary, errors: [] }),
    ),
  ];
}

function gapsOf(name: string, schema: unknown, { summary, errors }: Entry): string[] {
  return [
    ...(isSchema(schema) ? [] : [`${name} has no schema`]),
    ...(typeof summary === 'string' && summary.trim() !== '' ? [] : [`${name} has no description`]),
    ...(Array.isArray(errors) ? [] : [`${name} has no list of errors, not even an empty one`]),
  ];
}

/** A schema that takes everything says nothing. */
function isSchema(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return false;
  return ['type', 'anyOf', 'oneOf', 'allOf', 'enum', 'const', '$ref'].some((keyword) => keyword in schema);
}
