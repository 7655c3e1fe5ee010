import { Refusal } from '../protocol/errors.js';
import { type AttachmentId, shardOf } from '../protocol/ids.js';
import type { AttachmentRemoval } from '../rooms/attachment-removal.js';
import { callerOf, type HttpHandler } from './types.js';

/** REST over the one thing about attachments that changes messages. */
export function attachmentRemovalHandlers(ports: {
  readonly removal: AttachmentRemoval;
  /** This shard and how many there are: changes go through the shard of their room. */
  readonly shard: number;
  readonly shards: number;
}): Record<'delete_attachment', HttpHandler> {
  const { removal, shard, shards } = ports;
  return {
    delete_attachment: async (call) => {
      const id = call.params.attachmentId as AttachmentId;
      const room_id = await removal.roomOf(id);
      if (room_id === null) throw new Refusal('not_found');
      if (shardOf(room_id, shards) !== shard) return { reroute: room_id };
      await removal.remove(callerOf(call), id);
      return { status: 200, data: {} };
    },
  };
}
