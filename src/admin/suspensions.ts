import { suspendUser, unsuspendUser } from '../store/suspensions.js';
import { type Command, NotFound } from './command.js';
import { accountNamed, durationOf, reasonOf, untilText } from './values.js';

export const suspend: Command = {
  takes: 'USER [--for 24h] [--reason TEXT]',
  does: 'ends all sessions of a user and refuses new ones',
  arguments: 1,
  options: ['for', 'reason'],
  async run({ db, say }, [name = ''], options) {
    const forMs = durationOf(options.for);
    const reason = reasonOf(options.reason);
    const { id, username } = await accountNamed(db, name);
    const ended = await suspendUser(db, id, { forMs, reason });
    if (ended === null) throw new NotFound(`the account of ${id} is deleted`);
    say(`${username} (${id}) is suspended ${untilText(forMs)}; sessions ended: ${ended}`);
  },
};

export const unsuspend: Command = {
  takes: 'USER',
  does: 'lets a suspended user sign in again',
  arguments: 1,
  options: [],
  async run({ db, say }, [name = '']) {
    const { id, username } = await accountNamed(db, name);
    if (!(await unsuspendUser(db, id))) throw new NotFound(`${username} (${id}) is not suspended`);
    say(`${username} (${id}) may sign in again`);
  },
};
