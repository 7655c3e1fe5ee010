import type { TSchema } from 'typebox';
import { ROUTES, type Route } from '../http/routes.js';
import { ERRORS, type ErrorCode } from '../protocol/errors.js';
import { UUID_PATTERN } from '../protocol/ids.js';
import { Emoji, NoBody } from '../protocol/requests.js';
import { components, type JsonSchema, referring } from './schemas.js';

/** The OpenAPI 3.1 document of the REST API, from the tables that the server itself works with. */
export interface OpenApi {
  readonly openapi: string;
  readonly info: JsonSchema;
  readonly servers: readonly JsonSchema[];
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: {
    readonly responses: Readonly<Record<string, JsonSchema>>;
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly securitySchemes: JsonSchema;
  };
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security: readonly JsonSchema[];
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: JsonSchema }[];
  readonly requestBody?: JsonSchema;
  readonly responses: Record<string, JsonSchema>;
}

const HEALTH = {
  type: 'object',
  required: ['status', 'timestamp'],
  properties: {
    status: { enum: ['ok', 'degraded'] },
    timestamp: { type: 'string', format: 'date-time' },
    database: { type: 'boolean' },
    redis: { type: ['boolean', 'null'] },
    storage: { type: 'boolean' },
  },
};

/** A route that the front answers itself, without asking a shard: read by GET, without a token. */
interface PlainRoute {
  readonly path: string;
  readonly summary: string;
  readonly tag: 'health' | 'documents';
  readonly data: JsonSchema;
  readonly errors: readonly ErrorCode[];
}

const WHOLE_HEALTH = { ...HEALTH, required: Object.keys(HEALTH.properties) };

export const PLAIN_ROUTES: Readonly<Record<string, PlainRoute>> = {
  health: {
    path: '/health',
    summary: 'Whether everything the server needs is there',
    tag: 'health',
    data: WHOLE_HEALTH,
    errors: ['unavailable'],
  },
  health_live: {
    path: '/health/live',
    summary: 'Whether the process runs; asks no dependency',
    tag: 'health',
    data: HEALTH,
    errors: [],
  },
  health_ready: {
    path: '/health/ready',
    summary: 'Whether the server takes requests; not while it starts or drains',
    tag: 'health',
    data: WHOLE_HEALTH,
    errors: ['unavailable'],
  },
  openapi: {
    path: '/openapi.json',
    summary: 'This document',
    tag: 'documents',
    data: { type: 'object' },
    errors: ['rate_limited'],
  },
  asyncapi: {
    path: '/asyncapi.json',
    summary: 'The AsyncAPI document of the WebSocket',
    tag: 'documents',
    data: { type: 'object' },
    errors: ['rate_limited'],
  },
};

export function openApi(version: string): OpenApi {
  const paths: OpenApi['paths'] = {};
  for (const [name, route] of Object.entries(ROUTES) as [string, Route][]) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method]: operation(name, route) };
  }
  for (const [name, route] of Object.entries(PLAIN_ROUTES)) {
    paths[route.path] = { get: plainOperation(name, route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Parley',
      version,
      description:
        'Rooms with durable, gapless, ordered messages. Every answer bears `x-request-id`; 429 and 503 bear `retry-after`. ' +
        'From an address that the operators have blocked every answer but health is 403 `forbidden`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/api/v1' }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      responses: Object.fromEntries([...sharedFailures].sort()),
      schemas: components(),
    },
  };
}

function operation(name: string, route: Route): Operation {
  const params = [...route.path.matchAll(/:(\w+)/g)].map(([, param = '']) => ({
    name: param,
    in: 'path',
    required: true,
    schema: param === 'emoji' ? referring(Emoji) : { type: 'string', pattern: UUID_PATTERN },
  }));
  const { query, body } = route;
  const required = (query as { required?: string[] } | null)?.required ?? [];
  const queries = Object.entries(
    (query as { properties?: Record<string, TSchema> } | null)?.properties ?? {},
  );
  return {
    operationId: name,
    summary: route.summary,
    tags: [route.path.split('/')[1] ?? ''],
    security: route.auth ? [{ bearer: [] }] : [],
    parameters: [
      ...params,
      ...queries.map(([param, schema]) => ({
        name: param,
        in: 'query',
        required: required.includes(param),
        schema: referring(schema),
      })),
    ],
    ...(route.form ? { requestBody: { required: true, content: FILE_FORM } } : {}),
    ...(body === null || body === NoBody
      ? {}
      : { requestBody: { required: route.bodyOptional !== true, content: json(referring(body)) } }),
    responses: { ...(route.content ? fileAnswers() : successes(route)), ...failuresOf(codesOf(route)) },
  };
}

function successes(route: Route): Record<string, JsonSchema> {
  const data = referring(route.data);
  const page = {
    type: 'object',
    required: ['has_more', 'next'],
    properties: { has_more: { type: 'boolean' }, next: { type: ['string', 'null'] } },
  };
  const schema = {
    type: 'object',
    required: route.list ? ['success', 'data', 'page'] : ['success', 'data'],
    properties: {
      success: { const: true },
      data: route.list ? { type: 'array', items: data } : data,
      ...(route.list ? { page } : {}),
    },
  };
  return Object.fromEntries(
    route.statuses.map((status, i) => [
      status,
      {
        ...answer(i === 0 ? 'Done.' : 'It was so already.', schema, ['x-request-id']),
        ...(route.statuses[0] === 201 ? linksFrom(route.path) : {}),
      },
    ]),
  );
}

const FILE_FORM = {
  'multipart/form-data': {
    schema: {
      type: 'object',
      required: ['file'],
      additionalProperties: false,
      // No `type`: it is bytes, and `false` is a file too.
      properties: { file: { contentMediaType: 'application/octet-stream' } },
    },
  },
};

/** Bytes of the file's own type, or where they are. */
function fileAnswers(): Record<string, JsonSchema> {
  const content = { 'application/octet-stream': { schema: { type: 'string', contentEncoding: 'binary' } } };
  return {
    200: { description: 'The file.', content },
    206: { description: 'The range that was asked for.', content },
    302: { description: 'The file is where `location` says.' },
    304: { description: 'What `if-none-match` names is still the file.' },
    416: { description: 'The file has no such range.' },
  };
}

/** What can be asked about something that was made, by its id: for tools that follow links. */
const MADE = { '/rooms': 'roomId', '/rooms/:roomId/messages': 'messageId' } as const;

function linksFrom(path: string): JsonSchema {
  const param = MADE[path as keyof typeof MADE] as string | undefined;
  if (param === undefined) return {};
  const targets = (Object.entries(ROUTES) as [string, Route][]).filter(([, route]) =>
    route.path.includes(`:${param}`),
  );
  const link = (operationId: string) => ({
    operationId,
    parameters: { [`path.${param}`]: '$response.body#/data/id' },
  });
  return { links: Object.fromEntries(targets.map(([name]) => [name, link(name)])) };
}

/** Grouped by status, as OpenAPI has it; the codes of each stand in its schema. */
function failuresOf(errors: readonly ErrorCode[]): Record<string, JsonSchema> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of errors) {
    const { status } = ERRORS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries([...byStatus].map(([status, codes]) => [status, failureAnswer(status, codes)]));
}

/** Every code that a route may answer. */
export function codesOf(route: Route): ErrorCode[] {
  const takesInput = route.body !== null || route.query !== null || route.path.includes(':');
  const common: ErrorCode[] = [
    ...(takesInput ? (['bad_request'] as const) : []),
    ...(route.auth ? (['unauthenticated', 'token_expired'] as const) : []),
    'payload_too_large',
    ...(route.body === null ? [] : (['unsupported_media_type'] as const)),
    'rate_limited',
    'internal',
    'overloaded',
    'unavailable',
  ];
  return [...new Set([...common, ...route.errors])];
}

/** The failures that some operation answers with, by a name that says status and codes. */
const sharedFailures = new Map<string, JsonSchema>();

function failureAnswer(status: number, codes: readonly ErrorCode[]): JsonSchema {
  const name = `${status}.${codes.join('.')}`;
  const headers = status === 429 || status === 503 ? ['x-request-id', 'retry-after'] : ['x-request-id'];
  const description = codes.map((code) => `\`${code}\`: ${ERRORS[code].sentence}`).join(' ');
  sharedFailures.set(name, answer(description, failure(codes), headers));
  return { $ref: `#/components/responses/${name}` };
}

/** A response of the document, looked up where it is a reference. */
export function responseOf(document: OpenApi, response: JsonSchema): JsonSchema {
  if (typeof response.$ref !== 'string') return response;
  const name = response.$ref.slice('#/components/responses/'.length);
  return document.components.responses[name] ?? {};
}

function failure(codes: readonly ErrorCode[]) {
  return {
    type: 'object',
    required: ['success', 'error', 'code', 'retry', 'request_id'],
    properties: {
      success: { const: false },
      error: { type: 'string' },
      code: { enum: codes },
      field: { type: 'string' },
      retry: { type: 'boolean' },
      retry_after_ms: { type: 'integer' },
      request_id: { type: 'string' },
    },
  };
}

function answer(description: string, schema: JsonSchema, headers: readonly string[]): JsonSchema {
  const described = headers.map((name) => [name, { schema: { type: 'string' } }]);
  return { description, headers: Object.fromEntries(described), content: json(schema) };
}

function json(schema: JsonSchema): JsonSchema {
  return { 'application/json': { schema } };
}

function plainOperation(operationId: string, { summary, tag, data, errors }: PlainRoute): Operation {
  return {
    operationId,
    summary,
    tags: [tag],
    security: [],
    parameters: [],
    responses:
      tag === 'health'
        ? healthAnswers(data, errors)
        : { 200: answer('The document.', data, []), ...failuresOf(errors) },
  };
}

/** A failure tells, beside its code, what is away. */
function healthAnswers(data: JsonSchema, errors: readonly ErrorCode[]): Record<string, JsonSchema> {
  const success = {
    type: 'object',
    required: ['success', 'data'],
    properties: { success: { const: true }, data },
  };
  const { required, properties } = failure(errors);
  const degraded = { type: 'object', required: [...required, 'data'], properties: { ...properties, data } };
  return {
    200: answer('All is well.', success, ['x-request-id']),
    ...(errors.length === 0
      ? {}
      : { 503: answer('Degraded, or not ready.', degraded, ['x-request-id', 'retry-after']) }),
  };
}
