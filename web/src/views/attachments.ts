import type { Attachment } from '../../../client/src/index.js';
import { button } from '../dom/parts.js';
import { type Child, h, type VNode } from '../dom/vdom.js';
import { type App, apiOf, type Draft, type PendingFile, type RoomState, run } from '../state/app.js';
import { removeFile, send } from '../state/compose.js';
import { bytesOf } from '../text/format.js';

const THUMBNAIL_MAX_PX = 240;
const FRESH_MAX = 500; // links asked for again

/** Links live shortly: those that ran out while the page was open are asked for again. */
const fresh = new Map<string, Attachment>();

export function attachmentsView(app: App, attachments: readonly Attachment[]): Child {
  if (attachments.length === 0) return null;
  return h(
    'ul',
    { class: 'attachments' },
    attachments.map((attachment) =>
      h('li', { key: attachment.id }, attachmentView(app, fresh.get(attachment.id) ?? attachment)),
    ),
  );
}

function attachmentView(app: App, attachment: Attachment): VNode {
  const { file_name, file_size, thumbnail_url } = attachment;
  const label = `${file_name}, ${bytesOf(file_size)}`;
  return button(
    thumbnail_url === null
      ? [h('span', { class: 'name' }, file_name), h('span', { class: 'hint' }, bytesOf(file_size))]
      : picture(app, attachment, thumbnail_url),
    () => run(app, () => openFile(app, attachment.id)),
    { class: thumbnail_url === null ? 'file' : 'picture', 'aria-label': `Open ${label}`, title: label },
  );
}

/** Room for it is kept before it is there. */
function picture(app: App, { id, width, height, file_name }: Attachment, src: string): VNode {
  const scale = Math.min(1, THUMBNAIL_MAX_PX / Math.max(width ?? 1, height ?? 1));
  return h('img', {
    src,
    alt: file_name,
    width: Math.max(16, Math.round((width ?? THUMBNAIL_MAX_PX) * scale)),
    height: Math.max(16, Math.round((height ?? THUMBNAIL_MAX_PX) * scale)),
    loading: 'lazy',
    onerror: () => fresh.has(id) || run(app, () => refresh(app, id)),
  });
}

async function refresh(app: App, id: string): Promise<Attachment> {
  const attachment = await apiOf(app).attachment(id);
  fresh.set(id, attachment);
  if (fresh.size > FRESH_MAX) fresh.delete([...fresh.keys()][0] ?? '');
  return attachment;
}

async function openFile(app: App, id: string): Promise<void> {
  const { storage_url } = await refresh(app, id);
  const url = new URL(storage_url, location.href);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return;
  const link = document.createElement('a');
  Object.assign(link, { href: url.href, target: '_blank', rel: 'noopener noreferrer nofollow' });
  link.click();
}

/** Files of a draft, with how far they are. */
export function pendingFilesView(app: App, state: RoomState, draft: Draft): Child {
  if (draft.files.length === 0) return null;
  return h(
    'ul',
    { class: 'pending-files', 'aria-label': 'Files to send' },
    draft.files.map((pending) => h('li', { key: pending.key }, pendingFile(app, state, draft, pending))),
  );
}

function pendingFile(app: App, state: RoomState, draft: Draft, pending: PendingFile): Child[] {
  const { file, preview, attachment, error, sent } = pending;
  return [
    preview !== null && h('img', { src: preview, alt: '', width: 40, height: 40 }),
    h('span', { class: 'name' }, file.name),
    error === null
      ? h('progress', {
          max: file.size || 1,
          value: attachment === null ? sent : file.size || 1,
          'aria-label': `Upload of ${file.name}`,
        })
      : [
          h('span', { class: 'error', role: 'alert' }, error),
          button('Retry', () => void send(app, state, pending)),
        ],
    button('✕', () => removeFile(app, draft, pending), {
      class: 'quiet',
      'aria-label': `Remove ${file.name}`,
    }),
  ];
}
