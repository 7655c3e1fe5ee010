import type { HttpRequest, HttpResponse, us_socket_context_t } from 'uWebSockets.js';
import { type Problem, problem } from '../protocol/errors.js';
import { Encoding } from '../protocol/frames.js';
import { blockedAddress } from './address-blocks.js';
import type { AnswerPolicy } from './answer-policy.js';
import type { AddressReader } from './client-address.js';
import { openExchange } from './http-exchange.js';
import { isAmbiguousUpgrade } from './http-framing.js';
import { bearerToken } from './http-request.js';
import type { FrontMetrics, SessionRegistry, TokenCheck } from './ports.js';
import type { Socket } from './socket.js';

export interface UpgradeDeps {
  readonly policy: AnswerPolicy;
  readonly addressOf: AddressReader;
  readonly sessions: SessionRegistry;
  /** Whether nobody may come from this address. */
  readonly blocked: (address: string) => boolean;
  /** Whether one more socket of this address is one too many. */
  readonly full: (address: string) => boolean;
  /** Whether one more of this user is, or one more of the address that hasn't said whose it is. */
  readonly tooMany: (address: string, check: TokenCheck | null) => boolean;
  readonly limited: FrontMetrics['limited'];
  readonly accepting: () => boolean;
  /** A new socket, not open yet. */
  readonly make: (of: {
    enc: Encoding;
    address: string;
    check: TokenCheck | null;
    rejected: boolean;
  }) => Socket;
}

interface Offer {
  readonly enc: Encoding;
  /** What the answer selects: browsers refuse a connection whose offer is passed over. */
  readonly selected: string;
  readonly token: string | null;
}

/** Decides on an upgrade (PROTOCOL §3): origin, connection limits and, where there is one, the token. */
export function upgradeHandler(deps: UpgradeDeps) {
  return (res: HttpResponse, req: HttpRequest, context: us_socket_context_t): void => {
    // uWebSockets closes some of the sockets that are upgraded after the handler has returned (#1928 there), so
    // nothing here may wait.
    const exchange = openExchange(res, req, deps.policy);
    if (isAmbiguousUpgrade(req)) {
      res.close();
      return;
    }
    const key = req.getHeader('sec-websocket-key');
    const extensions = req.getHeader('sec-websocket-extensions');
    const offer = readOffer(req.getHeader('sec-websocket-protocol'));
    const address = deps.addressOf(res, req.getHeader('x-forwarded-for'));
    const authorization = req.getHeader('authorization');
    const origin = req.getHeader('origin');

    const refuse = (why: Problem) => exchange.refuse(why, { close: true });
    const refuseAsFull = () => {
      deps.limited('connections');
      refuse(problem('rate_limited'));
    };
    const finish = (check: TokenCheck | null) => {
      if (deps.tooMany(address, check)) return refuseAsFull();
      const socket = deps.make({ enc: offer.enc, address, check, rejected: check !== null && !check.ok });
      res.upgrade(socket, key, offer.selected, extensions, context);
    };

    if (!deps.accepting()) return refuse(problem('unavailable'));
    if (!deps.policy.cors.originAllowed(origin, req.getHeader('host'))) return refuse(problem('forbidden'));
    if (deps.blocked(address)) return refuse(blockedAddress());
    if (deps.full(address)) return refuseAsFull();
    const header = authorization === '' ? null : bearerToken(authorization);
    if (authorization !== '') {
      if (header === null) return refuse(problem('unauthenticated'));
      const check = deps.sessions.check(header);
      return check.ok ? finish(check) : refuse(problem(check.code));
    }
    if (offer.token === null) return finish(null);
    const check = deps.sessions.check(offer.token);
    // A browser can't see a status: a bad token is a close code there. A database that is away is not.
    if (!check.ok && check.code === 'unavailable') refuse(problem('unavailable'));
    else finish(check);
  };
}

/** What the offered subprotocols say: an encoding (JSON when none does) and maybe a token. */
function readOffer(header: string): Offer {
  const offered = header.split(',').map((name) => name.trim());
  const chosen = offered.find((name) => name === 'parley.json' || name === 'parley.msgpack');
  const bearer = offered.find((name) => name.startsWith('bearer.'));
  return {
    enc: chosen === 'parley.msgpack' ? Encoding.msgpack : Encoding.json,
    selected: chosen ?? bearer ?? '',
    token: bearer === undefined ? null : bearer.slice('bearer.'.length),
  };
}
