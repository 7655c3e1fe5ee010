import { type MessageBody, upload } from '../../../client/src/index.js';
import { type App, type Draft, type PendingFile, type RoomState, run, toast } from './app.js';

const FILES_MAX = 10; // that a message takes
const CONTENT_MAX = 5_000; // code points, as the server counts
let fileKey = 0;

export function canSend(draft: Draft): boolean {
  const ready = draft.files.every(({ attachment }) => attachment !== null);
  return ready && (draft.text.trim() !== '' || draft.files.length > 0);
}

/** Sends the draft, or the change that it is; it is empty then. */
export function submit(app: App, state: RoomState, draft: Draft, threadRoot: string | null): void {
  if (!canSend(draft)) return;
  const content = draft.text.trim();
  if ([...content].length > CONTENT_MAX)
    return toast(app, `A message has at most ${CONTENT_MAX} characters.`);
  const { editing } = draft;
  if (editing !== null) run(app, () => state.room.edit(editing.id, content));
  else {
    const body: MessageBody = {
      content,
      ...(draft.files.length > 0
        ? { attachment_ids: draft.files.flatMap(({ attachment }) => attachment?.id ?? []) }
        : {}),
      ...(draft.replyTo === null ? {} : { reply_to: draft.replyTo.id }),
      ...(threadRoot === null ? {} : { thread_root: threadRoot }),
    };
    state.room.send(body).sent.catch(() => undefined); // shown where it waits
    if (threadRoot === null) state.atBottom = true;
  }
  clear(draft);
  app.render();
}

export function clear(draft: Draft): void {
  for (const file of draft.files) dropFile(file);
  Object.assign(draft, { text: '', files: [], replyTo: null, editing: null });
}

/** Begins to upload at once, so that sending needn't wait. */
export function addFiles(app: App, state: RoomState, draft: Draft, files: Iterable<File>): void {
  for (const file of files) {
    if (draft.files.length >= FILES_MAX) {
      toast(app, `A message has at most ${FILES_MAX} files.`);
      return;
    }
    const pending: PendingFile = {
      key: fileKey++,
      file,
      preview: file.type.startsWith('image/') ? URL.createObjectURL(file) : null,
      sent: 0,
      attachment: null,
      error: null,
      abort: new AbortController(),
    };
    draft.files.push(pending);
    void send(app, state, pending);
  }
  app.render();
}

export async function send(app: App, state: RoomState, pending: PendingFile): Promise<void> {
  if (app.client === null) return;
  pending.error = null;
  try {
    pending.attachment = await upload(app.client.http, state.info.id, pending.file, {
      signal: pending.abort.signal,
      onProgress: (sent) => {
        pending.sent = sent;
        app.render();
      },
    });
  } catch (error) {
    pending.error = error instanceof Error ? error.message : String(error);
  }
  app.render();
}

export function removeFile(app: App, draft: Draft, pending: PendingFile): void {
  draft.files = draft.files.filter((each) => each !== pending);
  dropFile(pending);
  app.render();
}

function dropFile({ abort, preview, attachment }: PendingFile): void {
  if (attachment === null) abort.abort();
  if (preview !== null) URL.revokeObjectURL(preview);
}
