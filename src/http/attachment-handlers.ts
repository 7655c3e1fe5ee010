import type { DirectParts, DirectPut } from '../attachments/storage-port.js';
import { Refusal } from '../protocol/errors.js';
import type { AttachmentId, RoomId } from '../protocol/ids.js';
import type { DirectUpload } from '../protocol/model.js';
import type { PresignBody } from '../protocol/requests.js';
import type { AttachmentRecord, StoredFile } from '../rooms/attachment-ports.js';
import type { AttachmentService } from '../rooms/attachment-service.js';
import { type AttachmentViews, absolute } from '../rooms/attachment-view.js';
import type { TransferRoute } from './routes.js';
import { callerOf, type HttpCall, type HttpHandler } from './types.js';

/** REST over attachments, but for what streams (uploads and content) and what changes messages. */
export function attachmentHandlers(ports: {
  readonly attachments: AttachmentService;
  readonly views: AttachmentViews;
  /** @throws Refusal `unsupported_media_type` for a claimed type that is not accepted */
  readonly checkClaim: (file_type: string) => void;
  readonly grant: (
    storage_key: string,
    file: PresignBody,
    lifeMs: number,
  ) => Promise<DirectPut | DirectParts>;
  /** Checks what a client has brought; has given up what can't be mended. */
  readonly inspect: (record: AttachmentRecord) => Promise<StoredFile>;
}): Record<Exclude<TransferRoute, 'upload_attachment' | 'get_attachment_content'>, HttpHandler> {
  const { attachments, views } = ports;
  return {
    presign_attachment: async (call) => {
      const file = call.body as PresignBody;
      ports.checkClaim(file.file_type);
      const room_id = call.params.roomId as RoomId;
      const opened = await attachments.openDirect(callerOf(call).user_id, room_id, file, (key, lifeMs) =>
        ports.grant(key, file, lifeMs),
      );
      const expires_at = opened.expires_at.toISOString();
      const { direct } = opened;
      const { origin } = call;
      const put = <T extends DirectPut>(each: T): T => ({ ...each, url: absolute(each.url, origin) });
      const upload = 'parts' in direct ? { parts: direct.parts.map(put) } : put(direct);
      const data = { attachment: views.show(opened.record, origin), upload: { ...upload, expires_at } };
      return { status: 201, data: data satisfies DirectUpload };
    },

    complete_attachment: async (call) => {
      const record = await attachments.ownUpload(callerOf(call).user_id, idOf(call));
      if (record.state !== 'pending') return { status: 200, data: views.show(record, call.origin) };
      const file = await ports.inspect(record);
      return { status: 200, data: views.show(await attachments.finish(record.id, file), call.origin) };
    },

    get_attachment: async (call) => {
      const record = await attachments.see(callerOf(call).user_id, idOf(call));
      return { status: 200, data: views.show(record, call.origin) };
    },
  };
}

function idOf(call: HttpCall): AttachmentId {
  const id = call.params.attachmentId;
  if (id === undefined) throw new Refusal('not_found');
  return id as AttachmentId;
}
