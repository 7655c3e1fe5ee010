import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { apiDocuments } from '../docs/documents.js';
import { ROUTES, type Route, type RouteName } from '../http/routes.js';
import type { Caller, OverLimit, SharedTake } from '../ipc/messages.js';
import { createLimiter, type Limiter } from '../lib/rate-limits.js';
import { type Problem, problem, Refusal } from '../protocol/errors.js';
import { shardOf } from '../protocol/ids.js';
import { validator } from '../protocol/validate.js';
import { type AddressBlocks, blockedAddress } from './address-blocks.js';
import type { AnswerPolicy } from './answer-policy.js';
import { attachmentRoutes, relay as relayTransfer } from './attachment-routes.js';
import {
  BODIES_OF_NOBODY_MAX_BYTES,
  BODIES_OF_USERS_MAX_BYTES,
  type BodyBudget,
  bodyBudget,
} from './body-budget.js';
import { type AddressReader, limitKey } from './client-address.js';
import type { Cors } from './cors.js';
import { collectBody, decodeBody } from './http-body.js';
import { type Answer, type Exchange, failureBody, openExchange } from './http-exchange.js';
import { isAmbiguous } from './http-framing.js';
import { bearerToken, checkParams, parameterNames, queryReader } from './http-request.js';
import { type OriginReader, originReader } from './own-origin.js';
import type { FrontMetrics, HealthView, Limit, SessionRegistry, ShardAnswer, ShardGateway } from './ports.js';
import type { TransferLink } from './transfer-link.js';
import { lingerOver } from './unread-body.js';
import { registerWebClient } from './web-client.js';

export interface HttpDeps {
  readonly config: Config;
  readonly gateway: ShardGateway;
  readonly transfer: TransferLink;
  readonly sessions: SessionRegistry;
  readonly blocks: AddressBlocks;
  readonly health: HealthView;
  readonly log: Logger;
  readonly metrics: FrontMetrics;
  readonly policy: AnswerPolicy;
}

interface Context extends HttpDeps {
  readonly addressOf: AddressReader;
  readonly originOf: OriginReader;
  readonly bodies: Readonly<Record<'ofUsers' | 'ofNobody', BodyBudget>>;
  readonly limiters: Readonly<Record<Route['limit'] | 'upload' | 'anonymous', Limiter>>;
}

/** What is read of a request while uWebSockets still lets us: its `req` is gone after the handler's first await. */
interface Head {
  readonly params: Readonly<Record<string, string>>;
  readonly rawQuery: string;
  readonly contentType: string;
  readonly authorization: string;
  readonly address: string;
  readonly userAgent: string;
  readonly origin: string;
}

const PREFIX = '/api/v1';
/** Also from blocked addresses: a range that takes in the balancer's must not have every node taken for dead. */
const HEALTH = `${PREFIX}/health`;
/** Requests of nobody are limited by address, as those of so many users: documents, and tokens that are no good. */
const USERS_BEHIND_AN_ADDRESS = 10;
const METHODS = ['get', 'head', 'post', 'put', 'patch', 'del'] as const;
type Handler = (exchange: Exchange, res: HttpResponse, req: HttpRequest) => void;

/**
 * Makes what registers REST (PROTOCOL §2) on an app: every route, health, CORS preflights, 405 for other methods of
 * known paths and 404 for the rest.
 */
export function createHttp(deps: HttpDeps): (app: TemplatedApp) => void {
  const { config } = deps;
  const context: Context = {
    ...deps,
    addressOf: deps.policy.addressOf,
    originOf: originReader(config),
    bodies: {
      ofUsers: bodyBudget(BODIES_OF_USERS_MAX_BYTES),
      ofNobody: bodyBudget(BODIES_OF_NOBODY_MAX_BYTES),
    },
    limiters: {
      rest: createLimiter({ perMinute: config.limits.restPerMinute }),
      auth: createLimiter({ perMinute: config.limits.authPerMinute }),
      upload: createLimiter({ perMinute: config.limits.uploadsPerMinute }),
      anonymous: createLimiter({ perMinute: config.limits.restPerMinute * USERS_BEHIND_AN_ADDRESS }),
    },
  };
  return (app) => register(app, context);
}

function register(app: TemplatedApp, context: Context): void {
  const methods = new Map<string, string[]>();
  /** No handler sees a request whose end can be read in two ways; its connection is closed. Nor one from a blocked address. */
  const guarded =
    (handle: Handler, isHealth = false) =>
    (res: HttpResponse, req: HttpRequest): void => {
      const exchange = openExchange(res, req, context.policy);
      // Closed without an answer: behind one, uWebSockets would go on with what it takes for the next request.
      if (isAmbiguous(req)) res.close();
      else if (!isHealth && isBlocked(res, req, context)) exchange.refuse(blockedAddress(), { close: true });
      else handle(exchange, res, req);
    };
  const on = (method: Route['method'], path: string, handle: Handler): void => {
    // An exchange knows of HEAD: its answers have no body.
    const names =
      method === 'delete' ? (['del'] as const) : method === 'get' ? (['get', 'head'] as const) : [method];
    for (const name of names) {
      methods.set(path, [...(methods.get(path) ?? []), nameOf(name)]);
      app[name](path, guarded(handle, path.startsWith(HEALTH)));
    }
  };

  const streaming = streamingRoutes(context);
  for (const [name, route] of Object.entries(ROUTES) as [RouteName, Route][]) {
    const handler = streaming.byName[name] ?? routeHandler(name, route, context);
    on(route.method, PREFIX + route.path, handler);
  }
  on('get', `${PREFIX}/files/:token`, streaming.files.file);
  on('put', `${PREFIX}/files/:token`, streaming.files.put);
  registerHealth(on, context);
  registerDocuments(on, context);
  registerWebClient(on, context.config);
  for (const [path, allowed] of methods) {
    const allow = [...allowed, 'OPTIONS'].join(', ');
    const refuse = guarded((exchange, res, req) =>
      lingerOver(res, req, (unread) =>
        exchange.refuse(problem('method_not_allowed'), { headers: [['allow', allow]], unread }),
      ),
    );
    // By each method too: `any` comes after a path with a parameter that takes the method (/rooms/:roomId).
    for (const method of METHODS) {
      if (!allowed.includes(nameOf(method))) app[method](path, refuse);
    }
    app.any(path, refuse);
  }
  app.any(
    '/*',
    guarded((exchange, res, req) =>
      lingerOver(res, req, (unread) => exchange.refuse(problem('not_found'), { unread })),
    ),
  );
  app.options(
    '/*',
    guarded((exchange, _res, req) => preflight(exchange, req, context.policy.cors)),
  );
}

function nameOf(method: (typeof METHODS)[number]): string {
  return method === 'del' ? 'DELETE' : method.toUpperCase();
}

function isBlocked(res: HttpResponse, req: HttpRequest, { blocks, addressOf }: Context): boolean {
  return blocks.any() && blocks.has(addressOf(res, req.getHeader('x-forwarded-for')));
}

/** The API's documents, made once; the page is outside of the prefix. */
function registerDocuments(
  on: (method: 'get', path: string, handle: Handler) => void,
  context: Context,
): void {
  const { openapi, asyncapi, page, pageHeaders } = apiDocuments();
  const serve = (path: string, answer: Answer): void =>
    on('get', path, (exchange, res, req) => {
      const address = context.addressOf(res, req.getHeader('x-forwarded-for'));
      const wait = context.limiters.anonymous.take(limitKey(address));
      if (wait === 0) return exchange.answer(answer);
      context.metrics.limited('rest');
      exchange.refuse(problem('rate_limited', { retryAfterMs: wait }));
    });
  serve(`${PREFIX}/openapi.json`, { status: 200, body: openapi });
  serve(`${PREFIX}/asyncapi.json`, { status: 200, body: asyncapi });
  const contentType = 'text/html; charset=utf-8';
  serve('/docs', { status: 200, body: page, contentType, headers: pageHeaders });
}

/** The routes whose bodies stream between clients and the transfer thread, and the links to local storage. */
function streamingRoutes(context: Context): {
  readonly byName: Partial<Record<RouteName, Handler>>;
  readonly files: Readonly<Record<'file' | 'put', Handler>>;
} {
  const { config, transfer } = context;
  const { upload, content, file, put } = attachmentRoutes({
    config,
    transfer,
    addressOf: context.addressOf,
    originOf: context.originOf,
    async admit(authorization, address, kind) {
      const caller = authenticate(authorization, address, context);
      refuseOver('rest', context.limiters.rest.take(caller.user_id), context);
      await admitTransfer(caller, kind === 'upload', context);
      return caller;
    },
    report: (exchange, error, unread) => reportFailure(exchange, 'attachment', error, context, unread),
  });
  return { byName: { upload_attachment: upload, get_attachment_content: content }, files: { file, put } };
}

/**
 * Counts a request that no shard answers, which its own process has counted as REST: as an upload, and over all nodes.
 * @throws Refusal `rate_limited`
 */
async function admitTransfer(caller: Caller, isUpload: boolean, context: Context): Promise<void> {
  const { user_id } = caller;
  if (isUpload) refuseOver('uploads', context.limiters.upload.take(user_id), context);
  const takes: SharedTake[] = [['rest', user_id]];
  if (isUpload) takes.push(['upload', user_id]);
  const wait = await context.gateway.take(shardOf(user_id, context.gateway.shards), takes);
  refuseOver(isUpload ? 'uploads' : 'rest', wait, context);
}

/** @param wait milliseconds; 0 where the limit allows it @throws Refusal `rate_limited`, which is counted */
function refuseOver(limit: Limit, wait: number, { metrics }: Context): void {
  if (wait === 0) return;
  metrics.limited(limit);
  throw new Refusal('rate_limited', { retryAfterMs: wait });
}

function reportFailure(
  exchange: Exchange,
  route: string,
  error: unknown,
  { log }: Context,
  unread: boolean,
): void {
  log.error({ event: 'http_failed', route, request_id: exchange.requestId, err: error });
  exchange.refuse(problem('internal'), { unread });
}

function preflight(exchange: Exchange, req: HttpRequest, cors: Cors): void {
  const origin = req.getHeader('origin');
  const host = req.getHeader('host');
  if (!cors.originAllowed(origin, host)) {
    exchange.refuse(problem('forbidden', { sentence: 'This origin is not allowed.' }));
    return;
  }
  exchange.answer({ status: 204, body: null, headers: cors.preflightHeaders(origin, host) });
}

function routeHandler(name: RouteName, route: Route, context: Context): Handler {
  const names = parameterNames(route.path);
  const readQuery = queryReader(route.query);
  const validate = route.body === null ? null : validator(route.body);
  let turn = 0;

  const shardFor = (params: Head['params'], caller: Caller | null): number => {
    const { shards } = context.gateway;
    const owner = route.shard === 'caller' ? caller?.user_id : params[names[0] ?? ''];
    if (owner !== undefined) return shardOf(owner, shards);
    turn = (turn + 1) % shards;
    return turn;
  };

  const run = async (exchange: Exchange, head: Head, whenBody: Promise<Buffer | null>): Promise<void> => {
    const caller = route.auth ? authenticate(head.authorization, head.address, context) : null;
    const over = overLimit(route, caller, head.address, context);
    if (over !== null) context.metrics.limited(route.limit);
    if (over !== null && name !== 'send_message') {
      throw new Refusal('rate_limited', { retryAfterMs: over.retry_after_ms });
    }
    const { userAgent, origin } = head;
    const address = limitKey(head.address);
    const params = checkParams(head.params);
    const query = readQuery(head.rawQuery);
    const bytes = await whenBody;
    if (bytes === null || !exchange.isOpen()) return;
    const isAway = bytes.length === 0 && route.bodyOptional === true;
    const body = validate === null ? null : isAway ? {} : decodeBody(bytes, head.contentType, validate);
    const request_id = exchange.requestId;
    const client = { caller, address, userAgent, origin };
    const call = { route: name, request_id, params, query, body, ...client, over };
    if (route.shard === 'transfer') {
      if (caller !== null) await admitTransfer(caller, name === 'presign_attachment', context);
      return relayTransfer(exchange, await context.transfer.http(call), false);
    }
    const answer = await context.gateway.http(shardFor(params, caller), call);
    if (answer === 'overloaded') context.metrics.limited('credit');
    if (typeof answer === 'string') exchange.refuse(problem(answer));
    else relay(exchange, answer);
  };

  return (exchange, res, req) => {
    const at = performance.now();
    const request_id = exchange.requestId;
    exchange.whenAnswered((code) => {
      const ms = performance.now() - at;
      context.metrics.http(name, code, ms / 1_000);
      context.log.debug({ event: 'http_answered', request_id, route: name, code, ms });
    });
    const head: Head = {
      params: Object.fromEntries(names.map((parameter, i) => [parameter, req.getParameter(i)])),
      // Typed as a string, yet undefined where the URL has no `?`.
      rawQuery: (req.getQuery() as string | undefined) ?? '',
      contentType: req.getHeader('content-type'),
      authorization: req.getHeader('authorization'),
      address: context.addressOf(res, req.getHeader('x-forwarded-for')),
      userAgent: req.getHeader('user-agent'),
      origin: context.originOf(res, req),
    };
    const contentLength = req.getHeader('content-length');
    const body = collectBody(
      res,
      exchange,
      contentLength,
      Math.min(route.bodyMaxBytes, context.config.limits.maxBodyBytes),
      validate === null ? null : context.bodies[route.auth ? 'ofUsers' : 'ofNobody'],
    );
    if (body === null) return;
    run(exchange, head, body.whole).catch((error: unknown) =>
      body.early((unread) => {
        if (error instanceof Refusal) exchange.refuse(error.problem, { unread });
        else reportFailure(exchange, name, error, context, unread);
      }),
    );
  };
}

/** @throws Refusal with the code for which the token doesn't count; `rate_limited` where many don't */
function authenticate(authorization: string, address: string, context: Context): Caller {
  const token = bearerToken(authorization);
  const check = token === null ? null : context.sessions.check(token);
  if (check?.ok) return check.caller;
  countAnonymous(address, context);
  throw new Refusal(check?.code ?? 'unauthenticated');
}

/** @throws Refusal `rate_limited` */
function countAnonymous(address: string, context: Context): void {
  refuseOver('rest', context.limiters.anonymous.take(limitKey(address)), context);
}

/** Counts the request: a caller's by user, and those that try credentials by address, with or without a caller. */
function overLimit(
  route: Route,
  caller: Caller | null,
  address: string,
  { limiters }: Context,
): OverLimit | null {
  const byUser = caller === null ? 0 : limiters.rest.take(caller.user_id);
  const byAddress = route.limit === 'auth' ? limiters.auth.take(limitKey(address)) : 0;
  const wait = Math.max(byUser, byAddress);
  return wait === 0 ? null : { retry_after_ms: wait };
}

/** A shard's success is a finished body; its failure is a Problem, which lacks the request's id. */
function relay(exchange: Exchange, { status, body, retryAfterMs }: ShardAnswer): void {
  if (status < 400) {
    exchange.answer({ status, body });
    return;
  }
  const failure = JSON.parse(Buffer.from(body).toString('utf8')) as Problem;
  exchange.answer({
    status,
    body: failureBody(failure, exchange.requestId),
    code: failure.code,
    retryAfterMs: retryAfterMs ?? failure.retry_after_ms ?? null,
  });
}

/**
 * Flags are booleans; `redis` is null where there is none. `/health` says 503 when anything is away; `/health/ready`
 * only when clients had better go elsewhere: without Redis or storage this node still takes messages.
 */
function registerHealth(
  on: (method: 'get', path: string, handle: Handler) => void,
  { health }: HttpDeps,
): void {
  on('get', `${HEALTH}/live`, (exchange) => {
    const data = { status: 'ok', timestamp: new Date().toISOString() };
    exchange.answer({ status: 200, body: JSON.stringify({ success: true, data }) });
  });
  const report =
    (needsAll: boolean): Handler =>
    (exchange) => {
      const parts = { database: health.database(), redis: health.redis(), storage: health.storage() };
      const ready = parts.database && health.ready();
      const isWell = ready && parts.redis !== false && parts.storage;
      const status = isWell ? 'ok' : 'degraded';
      const data = { status, timestamp: new Date().toISOString(), ...parts };
      exchange.answer(
        isWell || (ready && !needsAll)
          ? { status: 200, body: JSON.stringify({ success: true, data }) }
          : { status: 503, body: failureBody(problem('unavailable'), exchange.requestId, data) },
      );
    };
  on('get', HEALTH, report(true));
  on('get', `${HEALTH}/ready`, report(false));
}
