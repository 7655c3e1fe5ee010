import { noteOperator } from '../store/operator-log.js';
import { roomRecords } from '../store/room-export.js';
import type { Command } from './command.js';
import { writeJsonLines } from './json-lines.js';
import { roomNamed } from './values.js';

export const exportRoom: Command = {
  takes: 'ROOM FILE',
  does: 'writes all messages of a room into a new file, as JSON lines',
  arguments: 2,
  options: [],
  async run({ db, say }, [room = '', file = '']) {
    const room_id = await roomNamed(db, room);
    await noteOperator(db, { command: 'export-room', target: room_id });
    const records = await writeJsonLines(file, roomRecords(db, room_id));
    say(`room ${room_id} and ${records - 1} messages are in ${file}`);
  },
};
