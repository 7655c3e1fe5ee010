/**
 * What every client did and saw, in the order in which it happened, all by one monotonic clock (ms). The checker judges
 * nothing else: whoever can write such a history can be judged by it.
 */
export type Entry =
  /** A command leaves for the server; `attempt` counts from 1. */
  | { readonly op: 'send'; readonly id: string; readonly content: string; readonly attempt: number }
  | { readonly op: 'react'; readonly id: string; readonly add: boolean; readonly attempt: number }
  | { readonly op: 'ack'; readonly id: string; readonly seq: number; readonly rev: number }
  | { readonly op: 'reacted'; readonly id: string; readonly add: boolean; readonly rev: number }
  | { readonly op: 'refused'; readonly id: string; readonly code: string }
  /** The stream of the room begins, or goes on: everything up to `rev` is in `messages`, or was seen before; `more` follows. */
  | {
      readonly op: 'covered';
      readonly since: number | null;
      readonly rev: number;
      readonly messages: readonly SeenMessage[];
      readonly more: boolean;
      /** Read beside the stream, which may yet bring some of it. */
      readonly aside: boolean;
    }
  | {
      readonly op: 'event';
      readonly rev: number;
      readonly type: string;
      readonly message: SeenMessage | null;
    }
  /** The server says that something up to `rev` is missing. */
  | { readonly op: 'resync'; readonly rev: number }
  /** A message's presence was asked of a node, after its event was seen. */
  | { readonly op: 'probe'; readonly id: string; readonly found: boolean }
  /** The newest messages of the room as a node gave them, without a gap by its own account. */
  | { readonly op: 'read'; readonly seqs: readonly number[]; readonly begunAt: number }
  /** From now on the client isn't a member; the change was acknowledged to whoever made it. */
  | { readonly op: 'removed' }
  | { readonly op: 'member' };

export interface SeenMessage {
  readonly id: string;
  readonly seq: number;
  readonly rev: number;
  readonly content: string;
}

export interface Line {
  readonly at: number;
  readonly client: string;
  readonly room: string;
  readonly entry: Entry;
}

/** A connection's life; a client has one at a time. */
export interface Life {
  readonly client: string;
  readonly from: number;
  until: number;
}

/** A room at the end, when everything is at rest. */
export interface FinalRoom {
  readonly room: string;
  readonly headSeq: number;
  readonly headRev: number;
  /** Oldest first, with who has reacted by which emoji. */
  readonly messages: readonly (SeenMessage & { readonly reactedBy: readonly string[] })[];
}

export interface History {
  readonly lines: readonly Line[];
  readonly lives: readonly Life[];
  readonly rooms: readonly FinalRoom[];
  /** User id → client. */
  readonly users: ReadonlyMap<string, string>;
}

export interface Recorder {
  note(client: string, room: string, entry: Entry): void;
  connected(client: string): Life;
  /** How many events a client was sent more than so long after his removal, so far. */
  heardRemoved(client: string, afterMs: number): number;
  finish(rooms: readonly FinalRoom[], users: ReadonlyMap<string, string>): History;
}

export function createRecorder(now: () => number = () => performance.now()): Recorder {
  const lines: Line[] = [];
  const lives: Life[] = [];
  return {
    note: (client, room, entry) => void lines.push({ at: now(), client, room, entry }),
    connected(client) {
      const life = { client, from: now(), until: Number.POSITIVE_INFINITY };
      lives.push(life);
      return life;
    },
    heardRemoved(client, afterMs) {
      const removedAt = new Map<string, number>();
      let heard = 0;
      for (const { at, client: who, room, entry } of lines) {
        if (who !== client) continue;
        if (entry.op === 'removed') removedAt.set(room, at);
        if (entry.op === 'member') removedAt.delete(room);
        if (entry.op === 'event' && at - (removedAt.get(room) ?? at) > afterMs) heard++;
      }
      return heard;
    },
    finish: (rooms, users) => ({ lines, lives, rooms, users }),
  };
}
