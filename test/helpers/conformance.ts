import type { TSchema } from 'typebox';
import { codesOf } from '../../src/docs/openapi.js';
import { ROUTES, type Route } from '../../src/http/routes.js';
import { ERRORS } from '../../src/protocol/errors.js';
import { SERVER_FRAMES, type ServerFrameSpec } from '../../src/protocol/server-frames.js';
import { type Validate, validator } from '../../src/protocol/validate.js';
import { recordOutcome } from './contract-record.js';
import type { Frame } from './frames.js';

/** Checks that what the server sends is what its documents say, wherever a test looks at it. */
const compiled = new Map<TSchema, Validate<unknown>>();

/** The schema with every object closed: documents are open, so that members can be added, but here nothing is to leak. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  const isOpen = 'properties' in inner && !('additionalProperties' in inner);
  return isOpen ? { ...inner, additionalProperties: false } : inner;
}

function check(schema: TSchema, value: unknown, what: string): void {
  let validate = compiled.get(schema);
  if (validate === undefined) {
    validate = validator(closed(schema) as TSchema);
    compiled.set(schema, validate);
  }
  try {
    validate(value);
  } catch (error) {
    throw new Error(`${what} is not as documented: ${JSON.stringify(value)?.slice(0, 500)}`, {
      cause: error,
    });
  }
}

/** @throws when the frame's type is unknown, or its payload or rev isn't as documented */
export function checkServerFrame(frame: Frame): void {
  const spec = (SERVER_FRAMES as Record<string, ServerFrameSpec | undefined>)[frame.type];
  if (spec === undefined) throw new Error(`an undocumented frame: ${JSON.stringify(frame).slice(0, 500)}`);
  check(spec.payload, frame.payload, `the frame ${frame.type}`);
  const hasRev = frame.rev !== undefined;
  if (spec.kind !== 'answer') recordOutcome(`event ${frame.type}`, 'seen');
  if (hasRev !== (spec.kind === 'log')) throw new Error(`${frame.type} ${hasRev ? 'with' : 'without'} a rev`);
}

const routes = Object.values(ROUTES as Record<string, Route>).map((route) => {
  const pattern = route.path.replaceAll(/:\w+/g, '[^/]+');
  return { route, matches: new RegExp(`^${pattern}$`), isFixed: !route.path.includes(':') };
});

/** Notes how a client's frame was answered. */
export function noteAnswer(type: string, answer: Frame): void {
  const outcome = answer.type === 'error' ? String(answer.payload.code) : answer.type;
  recordOutcome(`frame ${type}`, outcome);
}

/** @throws when a JSON answer of a known route has a status, code or data that isn't documented */
export function checkAnswer(
  method: string,
  path: string,
  status: number,
  body: { readonly data?: unknown; readonly code?: string },
): void {
  const found = routes
    .filter(({ route, matches }) => route.method === method.toLowerCase() && matches.test(path))
    .sort((a, b) => Number(b.isFixed) - Number(a.isFixed))[0];
  if (found === undefined) return;
  const { route } = found;
  const what = `${method} ${path} ${status}`;
  recordOutcome(
    `${route.method.toUpperCase()} ${route.path}`,
    status < 400 ? String(status) : (body.code ?? ''),
  );
  if (status >= 400) {
    const known: readonly string[] = codesOf(route);
    const { code = '' } = body;
    if (!known.includes(code)) throw new Error(`${what}: undocumented code ${code}`);
    if (ERRORS[code as keyof typeof ERRORS].status !== status) throw new Error(`${what}: ${code}`);
    return;
  }
  if (!(route.statuses as readonly number[]).includes(status)) throw new Error(`undocumented: ${what}`);
  for (const entry of route.list ? (body.data as unknown[]) : [body.data]) check(route.data, entry, what);
}
