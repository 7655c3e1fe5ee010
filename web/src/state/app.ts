import type {
  Api,
  Attachment,
  Client,
  Me,
  Member,
  Message,
  MyRoom,
  Room,
  SearchHit,
  UserStatus,
} from '../../../client/src/index.js';
import type { StoredSession } from './session.js';

/** What the page shows, all of it. Functions change it and then ask for `render`. */
export interface App {
  readonly url: string;
  readonly session: StoredSession;
  phase: 'login' | 'starting' | 'chat';
  me: Me | null;
  client: Client | null;
  api: Api | null;
  readonly rooms: Map<string, RoomState>;
  open: string | null;
  panel: Panel | null;
  dialog: Dialog | null;
  menu: Menu | null;
  readonly presence: Map<string, UserStatus>;
  readonly link: LinkState;
  toasts: readonly Toast[];
  /** What a screen reader is told next. */
  announcement: string;
  /** Draws the page soon, once for many calls. */
  readonly render: () => void;
}

/** A file on its way into a message. */
export interface PendingFile {
  readonly key: number;
  readonly file: File;
  /** Of the picture itself, while it is not at the server. */
  readonly preview: string | null;
  sent: number;
  attachment: Attachment | null;
  error: string | null;
  readonly abort: AbortController;
}

export interface Draft {
  text: string;
  files: PendingFile[];
  replyTo: Message | null;
  editing: Message | null;
}

export interface RoomState {
  info: MyRoom;
  room: Room;
  /** Direct rooms have the other member's name. */
  title: string;
  readonly members: Map<string, Member>;
  membersLoaded: boolean;
  /** Where more members go on; null where all are there. */
  membersNext: string | null;
  /** Counted where names aren't told, in large rooms. */
  online: number | null;
  lastRead: number;
  mentions: number;
  /** Where the line "new" stands. */
  newAfter: number | null;
  loading: boolean;
  loaded: boolean;
  /** The room's first message is among those loaded. */
  complete: boolean;
  readonly draft: Draft;
  readonly threadDraft: Draft;
  /** Replies heard of, by the thread's root: `thread_count` takes no rev. */
  readonly threadCounts: Map<string, number>;
  /** Measured rows of the timeline, by message. */
  readonly heights: Map<string, number>;
  /** The message that the keyboard is at. */
  cursor: string | null;
  /** To be shown and marked once it is there. */
  target: string | null;
  atBottom: boolean;
}

export type Panel =
  | { readonly kind: 'members' }
  | {
      readonly kind: 'room';
      tab: 'settings' | 'bans' | 'audit';
      items: readonly unknown[] | null;
      next: string | null;
    }
  | { readonly kind: 'pins'; items: readonly Message[] | null }
  | { readonly kind: 'search'; q: string; items: readonly SearchHit[] | null; next: string | null }
  | { readonly kind: 'around'; readonly id: string; items: readonly Message[] | null }
  | {
      readonly kind: 'thread';
      readonly root: string;
      items: readonly Message[] | null;
      next: string | null;
      /** Up to this seq_no none is missing; what is newer came while the thread was open. */
      upTo: number;
    };

export interface Dialog {
  readonly kind: 'create' | 'discover' | 'direct' | 'profile' | 'devices' | 'inspector' | 'ask';
  /** What the dialog loaded, or was opened for. */
  data?: unknown;
  busy?: boolean;
  error?: string | null;
}

/** A question with one text, or none, as an answer. */
export interface Question {
  readonly title: string;
  readonly label: string | null;
  readonly required?: boolean;
  readonly action: string;
  readonly run: (text: string) => Promise<unknown>;
}

export interface MenuItem {
  readonly label: string;
  /** Shown instead of the label. */
  readonly emoji?: string;
  readonly run: () => void;
}
export interface Menu {
  readonly label: string;
  readonly at: DOMRect;
  readonly items: readonly MenuItem[];
  readonly back: HTMLElement | null;
}

export interface Toast {
  readonly key: number;
  readonly text: string;
}

export interface LinkState {
  state: 'connecting' | 'online' | 'offline';
  encoding: 'json' | 'msgpack';
  connects: number;
  since: number | null;
  lastCode: number | null;
  retryAt: number | null;
  latencyMs: number | null;
  ackMs: number | null;
}

const TOASTS_MAX = 3;
const TOAST_MS = 8_000;
let toastKey = 0;

/** Tells of something that failed, in the server's words. */
export function tellError(app: App, error: unknown): void {
  if (error instanceof DOMException && error.name === 'AbortError') return;
  toast(app, error instanceof Error ? error.message : String(error));
}

export function toast(app: App, text: string): void {
  const one = { key: toastKey++, text };
  app.toasts = [...app.toasts, one].slice(-TOASTS_MAX);
  setTimeout(() => {
    app.toasts = app.toasts.filter((each) => each !== one);
    app.render();
  }, TOAST_MS);
  app.render();
}

/** Runs what a button does: what fails is told. */
export function run(app: App, action: () => Promise<unknown>): void {
  action()
    .catch((error: unknown) => tellError(app, error))
    .finally(() => app.render());
}

export function openRoomOf(app: App): RoomState | null {
  return (app.open === null ? null : app.rooms.get(app.open)) ?? null;
}

export function apiOf(app: App): Api {
  if (app.api === null) throw new Error('Nobody is signed in.');
  return app.api;
}

export function newDraft(): Draft {
  return { text: '', files: [], replyTo: null, editing: null };
}

export function unreadOf({ info, lastRead }: RoomState): number {
  return Math.max(0, info.head_seq - lastRead);
}

export function canModerate({ info }: RoomState): boolean {
  return info.role !== 'member' && info.type !== 'direct';
}

/** How others see a user; oneself too, who may have chosen to be invisible. */
export function statusOf(app: App, userId: string): UserStatus {
  if (userId === app.me?.id && app.link.state !== 'online') return 'offline';
  return app.presence.get(userId) ?? 'offline';
}
