import type { RoomId } from '../protocol/ids.js';
import { forgetRetention, retentionRules, setRetention } from '../store/retention.js';
import { type Command, NotFound } from './command.js';
import { countOf, roomNamed } from './values.js';

const DAYS_MAX = 36_500; // a century

const whose = (room_id: RoomId | null): string =>
  room_id === null ? 'rooms without a rule of their own' : `room ${room_id}`;

export const retain: Command = {
  takes: 'ROOM|--all DAYS',
  does: 'deletes messages once they are so many days old',
  arguments: 2,
  options: ['all'],
  async run({ db, say }, args, { all = false }) {
    const [days = '', room = ''] = [...args].reverse();
    const count = countOf('DAYS', days, DAYS_MAX);
    const room_id = all ? null : await roomNamed(db, room);
    await setRetention(db, room_id, count);
    say(`messages of ${whose(room_id)} are kept for ${count} days`);
  },
};

export const forget: Command = {
  takes: 'ROOM|--all',
  does: 'takes back what `retain` said; what is deleted stays so',
  arguments: 1,
  options: ['all'],
  async run({ db, say }, [room = ''], { all = false }) {
    const room_id = all ? null : await roomNamed(db, room);
    if (!(await forgetRetention(db, room_id))) throw new NotFound(`there is no rule for ${whose(room_id)}`);
    say(`messages of ${whose(room_id)} are kept${all ? '' : ', unless there is a rule for --all'}`);
  },
};

export const retention: Command = {
  takes: '',
  does: 'shows what `retain` said',
  arguments: 0,
  options: [],
  async run({ db, say }) {
    for (const { room_id, days, created_at } of await retentionRules(db)) {
      say([room_id ?? '--all', days, 'since', created_at.toISOString()].join(' '));
    }
  },
};
