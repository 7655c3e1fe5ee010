/**
 * A client as an application would write it, that writes down what it does and sees: it sends, reacts and listens in
 * rooms, connects again wherever it is told to, resumes and sends again what wasn't acknowledged, under the same ids.
 *
 *   away ──connect──► joining (every room since its rev) ──► live ──lost, or told to move──► away
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { Life, Recorder, SeenMessage } from './history.js';

const RECONNECT_MS = 100;
const CONNECT_WITHIN_MS = 5_000;
const SILENT_MS = 15_000; // without any frame, though it pings: the connection is dead
const PING_EVERY_MS = 2_000;
const RETRY_MS = 50;
const REFUSED_PAUSE_MS = 250; // 100 refused sends in 10 s would close the connection (4008)
const REJOIN_MS = 500; // a join that was refused: not a member at the moment, or the node was not well
const EMOJI_BASE = 0x1f600; // everybody has an emoji of his own

export interface ClientOptions {
  readonly name: string;
  readonly userId: string;
  readonly token: string;
  readonly rooms: readonly string[];
  /** Where to connect next. */
  readonly url: () => string;
  readonly recorder: Recorder;
  /** Sends under way at a time, and the pause after each. */
  readonly depth: number;
  readonly pauseMs: number;
}

interface Command {
  readonly id: string;
  readonly room: string;
  readonly content: string;
  /** Null: a message; else a reaction to one. */
  readonly add: boolean | null;
  attempt: number;
  readonly done: () => void;
}

export interface FaultClient {
  readonly name: string;
  readonly userId: string;
  readonly token: string;
  /** Runs until `stopped`, then until everything is answered. */
  run(stopped: () => boolean): Promise<void>;
  /** The last rev seen of a room. */
  rev(room: string): number;
  connected(): boolean;
  /** The message that was seen last, live. */
  newest(): { readonly id: string; readonly room: string } | null;
  /** Cuts the connection, as a lost network does. */
  cut(): void;
  end(): void;
  readonly counts: { sent: number; acked: number; refused: number; delivered: number; connects: number };
}

interface Frame {
  readonly type: string;
  readonly room_id?: string;
  readonly rev?: number;
  readonly ref?: string | number;
  readonly payload: Record<string, unknown>;
}

export function createClient(options: ClientOptions): FaultClient {
  const { name, recorder, rooms } = options;
  const revs = new Map<string, number>(); // up to which nothing is missing
  const early = new Map<string, Set<number>>(rooms.map((room) => [room, new Set<number>()]));
  const waiting = new Map<string, Command>(); // by id: unanswered ones are sent again, in their order
  const counts = { sent: 0, acked: 0, refused: 0, delivered: 0, connects: 0 };
  const seen: { id: string; room: string }[] = []; // the latest, to react to
  const emoji = String.fromCodePoint(EMOJI_BASE + (Number.parseInt(options.userId.slice(-4), 16) % 0x4f));
  let socket: WebSocket | null = null;
  let live = false;
  let ended = false;
  let heardAt = 0;

  const asSeen = (message: Record<string, unknown>): SeenMessage => ({
    id: String(message.id),
    seq: Number(message.seq_no),
    rev: Number(message.rev),
    content: String(message.content),
  });
  const send = (frame: object) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
  };

  function covered(room: string, since: number, payload: Record<string, unknown>, aside: boolean): void {
    const messages = ((payload.messages ?? []) as Record<string, unknown>[]).map(asSeen);
    const rev = Number(payload.more ? payload.next_since : (payload.next_since ?? payload.head_rev));
    counts.delivered += messages.filter((message) => message.rev > (revs.get(room) ?? 0)).length;
    advance(room, Math.max(revs.get(room) ?? 0, rev));
    recorder.note(name, room, { op: 'covered', since, rev, messages, more: payload.more === true, aside });
    if (payload.more)
      send({ type: 'sync', room_id: room, ref: `s ${rev}`, payload: { since: rev, limit: 500 } });
  }

  /** Nothing up to `rev` is missing, nor what had come beyond it. */
  function advance(room: string, rev: number): void {
    const beyond = early.get(room) ?? new Set();
    let position = rev;
    while (beyond.delete(position + 1)) position++;
    for (const each of beyond) if (each <= position) beyond.delete(each);
    revs.set(room, position);
  }

  function event(frame: Frame, room: string, rev: number): void {
    const message = frame.payload.message as Record<string, unknown> | undefined;
    if (frame.type === 'new_message' && message !== undefined) {
      counts.delivered++;
      seen.push({ id: String(message.id), room });
      if (seen.length > 50) seen.shift();
    }
    const position = revs.get(room) ?? 0;
    if (rev === position + 1) advance(room, rev);
    else if (rev > position) early.get(room)?.add(rev);
    recorder.note(name, room, {
      op: 'event',
      rev,
      type: frame.type,
      message: message ? asSeen(message) : null,
    });
  }

  function answered(frame: Frame): void {
    const ref = String(frame.ref);
    if (frame.type === 'joined' || frame.type === 'synced') {
      const room = frame.room_id ?? String(frame.payload.room_id);
      covered(room, Number(ref.slice(2)), frame.payload, frame.type === 'synced');
      return;
    }
    const command = waiting.get(ref);
    if (frame.type === 'error' && ref.startsWith('s ')) {
      const room = frame.room_id;
      if (room !== undefined) setTimeout(() => live && join(room), REJOIN_MS);
      return;
    }
    if (command === undefined) return;
    const { id, room, add } = command;
    if (frame.type === 'message_ack') {
      counts.acked++;
      recorder.note(name, room, {
        op: 'ack',
        id,
        seq: Number(frame.payload.seq_no),
        rev: Number(frame.payload.rev),
      });
    } else if (frame.type === 'ok' && add !== null) {
      recorder.note(name, room, { op: 'reacted', id, add, rev: Number(frame.payload.rev) });
    } else if (frame.type === 'error') {
      recorder.note(name, room, { op: 'refused', id, code: String(frame.payload.code) });
      if (frame.payload.retry === true) {
        setTimeout(() => waiting.has(ref) && live && transmit(command), RETRY_MS);
        return;
      }
      if (add === null) counts.refused++;
      waiting.delete(ref);
      setTimeout(command.done, REFUSED_PAUSE_MS);
      return;
    }
    waiting.delete(ref);
    command.done();
  }

  function receive(data: string): void {
    heardAt = performance.now();
    const frame = JSON.parse(data) as Frame;
    if (frame.type === 'resync') {
      for (const { room_id, head_rev } of frame.payload.rooms as { room_id: string; head_rev: number }[]) {
        recorder.note(name, room_id, { op: 'resync', rev: head_rev });
        const since = revs.get(room_id) ?? 0;
        send({ type: 'sync', room_id, ref: `s ${since}`, payload: { since, limit: 500 } });
      }
    } else if (frame.type === 'room_added' && frame.room_id !== undefined) join(frame.room_id);
    else if (frame.rev !== undefined && frame.room_id !== undefined) event(frame, frame.room_id, frame.rev);
    else if (frame.ref !== undefined) answered(frame);
  }

  function transmit(command: Command): void {
    const { id, room, content, add } = command;
    command.attempt++;
    const { attempt } = command;
    if (add === null) {
      recorder.note(name, room, { op: 'send', id, content, attempt });
      return send({ type: 'send_message', room_id: room, ref: id, payload: { id, content } });
    }
    recorder.note(name, room, { op: 'react', id, add, attempt });
    const type = add ? 'add_reaction' : 'remove_reaction';
    send({ type, room_id: room, ref: `r ${id}`, payload: { message_id: id, emoji } });
  }

  /** Resolves when the connection is lost. */
  async function connectOnce(): Promise<void> {
    const opened = new WebSocket(options.url(), ['parley.json', `bearer.${options.token}`], {
      perMessageDeflate: false,
      handshakeTimeout: CONNECT_WITHIN_MS,
    });
    socket = opened;
    let life: Life | null = null;
    const closed = new Promise<void>((resolve) => opened.once('close', () => resolve()));
    opened.on('error', () => undefined);
    opened.on('message', (data) => receive(String(data)));
    opened.once('open', () => {
      life = recorder.connected(name);
      counts.connects++;
      heardAt = performance.now();
      for (const room of rooms) join(room);
      live = true;
      for (const command of waiting.values()) transmit(command);
    });
    const pulse = setInterval(() => {
      send({ type: 'ping' });
      if (life !== null && performance.now() - heardAt > SILENT_MS) opened.terminate();
    }, PING_EVERY_MS);
    await closed;
    clearInterval(pulse);
    live = false;
    if (life !== null) (life as Life).until = performance.now();
  }

  function join(room: string): void {
    const since = revs.get(room);
    const payload = since === undefined ? { since: 0 } : { since };
    send({ type: 'join_room', room_id: room, ref: `s ${payload.since}`, payload });
  }

  async function stayConnected(): Promise<void> {
    while (!ended) {
      await connectOnce();
      if (!ended) await sleep(RECONNECT_MS);
    }
  }

  function command(room: string, id: string, content: string, add: boolean | null): Promise<void> {
    return new Promise((done) => {
      const made: Command = { id, room, content, add, attempt: 0, done };
      waiting.set(add === null ? id : `r ${id}`, made);
      if (live) transmit(made);
    });
  }

  async function sendOn(stopped: () => boolean, lane: number): Promise<void> {
    for (let i = 0; !stopped(); i++) {
      const room = rooms[(i + lane) % rooms.length] ?? '';
      counts.sent++;
      await command(room, randomUUID(), `${name} ${lane} ${i}`, null);
      const target = i % 5 === 0 ? seen[Math.floor(Math.random() * seen.length)] : undefined;
      if (target !== undefined && !waiting.has(`r ${target.id}`))
        await command(target.room, target.id, '', Math.random() < 0.6);
      if (options.pauseMs > 0) await sleep(options.pauseMs * (0.5 + Math.random()));
    }
  }

  return {
    name,
    userId: options.userId,
    token: options.token,
    counts,
    async run(stopped) {
      void stayConnected();
      await Promise.all(Array.from({ length: options.depth }, (_, lane) => sendOn(stopped, lane)));
    },
    rev: (room) => revs.get(room) ?? 0,
    connected: () => live,
    newest: () => seen.at(-1) ?? null,
    cut: () => socket?.terminate(),
    end() {
      ended = true;
      socket?.close();
    },
  };
}
