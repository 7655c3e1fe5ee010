import { operatorEntries } from '../store/operator-log.js';
import type { Command } from './command.js';
import { countOf } from './values.js';

const SHOWN_DEFAULT = '50';
const SHOWN_MAX = 10_000;

export const audit: Command = {
  takes: '[--limit N]',
  does: 'shows what operators did, the newest first (50)',
  arguments: 0,
  options: ['limit'],
  async run({ db, say }, _args, { limit = SHOWN_DEFAULT }) {
    for (const entry of await operatorEntries(db, countOf('--limit', limit, SHOWN_MAX))) {
      const { created_at, operator, command, target, details } = entry;
      say([created_at.toISOString(), operator, command, target ?? '-', JSON.stringify(details)].join(' '));
    }
  },
};
