import {
  BLOCKED_RANGES_MAX,
  BLOCKS_MAX,
  blockedNetworks,
  blockNetwork,
  unblockNetwork,
} from '../store/address-blocks.js';
import { type Command, NotFound } from './command.js';
import { durationOf, networkOf, reasonOf, untilText } from './values.js';

export const block: Command = {
  takes: 'NETWORK [--for 24h] [--reason TEXT]',
  does: 'refuses an address or a CIDR range, and closes its sockets',
  arguments: 1,
  options: ['for', 'reason'],
  async run({ db, say }, [text = ''], options) {
    const forMs = durationOf(options.for);
    const blocked = await blockNetwork(db, networkOf(text), { forMs, reason: reasonOf(options.reason) });
    if (blocked === 'full') {
      throw new Error(
        `there can be ${BLOCKS_MAX} blocks, of these ${BLOCKED_RANGES_MAX} of ranges; unblock others`,
      );
    }
    say(`${blocked} is blocked ${untilText(forMs)}`);
  },
};

export const unblock: Command = {
  takes: 'NETWORK',
  does: 'lifts the block of exactly this address or range',
  arguments: 1,
  options: [],
  async run({ db, say }, [text = '']) {
    const network = networkOf(text);
    if (!(await unblockNetwork(db, network))) throw new NotFound(`${network} is not blocked; see: blocks`);
    say(`${network} is no longer blocked`);
  },
};

export const blocks: Command = {
  takes: '',
  does: 'shows what is blocked, the newest first',
  arguments: 0,
  options: [],
  async run({ db, say }) {
    for (const { network, expires_at, reason, created_at } of await blockedNetworks(db)) {
      const until = expires_at?.toISOString() ?? '-';
      say(
        [network, 'since', created_at.toISOString(), 'until', until, JSON.stringify(reason ?? '')].join(' '),
      );
    }
  },
};
