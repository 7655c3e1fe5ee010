import { setTimeout as sleep } from 'node:timers/promises';
import { accountRemovalStore } from '../store/account-removal.js';
import { noteOperator } from '../store/operator-log.js';
import { eraseMessages, roomsOfLastAdmin } from '../store/user-erasure.js';
import { userRecords } from '../store/user-export.js';
import type { Command } from './command.js';
import { writeJsonLines } from './json-lines.js';
import { userNamed } from './values.js';

const SETTLE_MS = 2_000; // by then every node knows that the account is gone, and has committed what it had let in

export const exportUser: Command = {
  takes: 'USER FILE',
  does: 'writes all that is kept of a user into a new file, as JSON lines',
  arguments: 2,
  options: [],
  async run({ db, say }, [name = '', file = '']) {
    const { id, username } = await userNamed(db, name);
    await noteOperator(db, { command: 'export-user', target: id });
    const records = await writeJsonLines(file, userRecords(db, id));
    say(`${records} records of ${username} (${id}) are in ${file}`);
  },
};

export const eraseUser: Command = {
  takes: 'USER',
  does: 'deletes an account and all its messages; if interrupted, repeat it by the id',
  arguments: 1,
  options: [],
  async run({ db, say }, [name = '']) {
    const { id, username } = await userNamed(db, name);
    say(`erasing ${username} (${id})`);
    const removed = await accountRemovalStore(db).removeAccount(id);
    if (removed === 'last_admin') {
      const rooms = await roomsOfLastAdmin(db, id);
      throw new Error(`nothing is erased: make another member admin first of ${rooms.join(', ')}`);
    }
    await noteOperator(db, { command: 'erase-user', target: id });
    if (removed !== null) await sleep(SETTLE_MS);
    say(`${id} is erased; messages blanked: ${await eraseMessages(db, id)}`);
  },
};
