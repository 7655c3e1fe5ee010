/**
 * One member with a socket in one room.
 *
 *   CONNECTING ── welcome ──► JOINING ── joined ──► CHATTING ── time is up ──► LEAVING ── last message acknowledged and come ──► closed
 *
 * Its last message closes the account: whatever was numbered before it must have come by then.
 */
import { WebSocket } from 'k6/websockets';
import { measures } from './measures.js';
import type { User } from './scene.js';
import { SOCKET_URL } from './settings.js';
import { startWalk, type Walk } from './walk.js';

interface Frame {
  readonly type: string;
  readonly rev?: number;
  readonly ref?: number;
  readonly payload?: {
    readonly head_seq?: number;
    readonly head_rev?: number;
    readonly message?: { readonly seq_no: number; readonly user_id: string; readonly content: string };
  };
}

interface Chat {
  readonly user: User;
  readonly roomId: string;
  readonly seconds: number;
  /** Messages a second; 0 only listens. */
  readonly rate: number;
}

/** The last message has to come by then, or it counts as lost. */
const LEAVE_TIMEOUT_MS = 5_000;

const SECOND_MS = 1_000;

/** When a message was sent stands at the beginning of its content. */
const SENT_AT = /^t=(\d+);/;

/** Opens the socket; k6 ends the iteration once it is closed. */
export function chat({ user, roomId, seconds, rate }: Chat): void {
  const openedAt = Date.now();
  const socket = new WebSocket(SOCKET_URL, null, { headers: { authorization: `Bearer ${user.token}` } });
  const sentAt = new Map<number, number>();
  let seq: Walk | undefined;
  let rev: Walk | undefined;
  let sent = 0;
  let last = '';
  let lastCame = false;
  let sender: ReturnType<typeof setInterval> | undefined;
  let leaver: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;

  function send(): string {
    const now = Date.now();
    const content = `t=${now}; message ${sent} of virtual user ${user.id}`;
    sentAt.set(sent, now);
    socket.send(JSON.stringify({ type: 'send_message', room_id: roomId, ref: sent, payload: { content } }));
    sent += 1;
    measures.sent.add(1);
    return content;
  }

  function leave(): void {
    if (sender !== undefined) clearInterval(sender);
    last = send();
    leaver = setTimeout(() => end(lastCame ? 0 : 1), LEAVE_TIMEOUT_MS);
  }

  function end(lost: number): void {
    if (isOver) return;
    isOver = true;
    if (sender !== undefined) clearInterval(sender);
    if (leaver !== undefined) clearTimeout(leaver);
    measures.lost.add(lost + (seq?.missing() ?? 0));
    socket.close(1_000);
  }

  function endOnceDone(): void {
    if (lastCame && sentAt.size === 0) end(0);
  }

  function joined(frame: Frame): void {
    measures.connectTime.add(Date.now() - openedAt);
    seq = startWalk(frame.payload?.head_seq ?? 0);
    rev = startWalk(frame.payload?.head_rev ?? 0);
    setTimeout(leave, seconds * SECOND_MS);
    if (rate > 0) {
      // Virtual users start together: a first wait of their own keeps their sends apart.
      setTimeout(
        () => {
          sender = setInterval(send, SECOND_MS / rate);
        },
        Math.random() * (SECOND_MS / rate),
      );
    }
  }

  function delivered(frame: Frame): void {
    const message = frame.payload?.message;
    if (message === undefined || seq === undefined || rev === undefined) return;
    const bySeq = seq.arrive(message.seq_no);
    const byRev = rev.arrive(frame.rev ?? 0);
    if (bySeq === 'repeated' || byRev === 'repeated') measures.duplicated.add(1);
    else if (bySeq === 'late' || byRev === 'late') measures.outOfOrder.add(1);
    else {
      measures.delivered.add(1);
      const at = SENT_AT.exec(message.content)?.[1];
      if (at !== undefined) measures.deliveryLatency.add(Date.now() - Number(at));
    }
    if (message.user_id === user.id && message.content === last) lastCame = true;
    endOnceDone();
  }

  function acked(frame: Frame): void {
    const at = frame.ref === undefined ? undefined : sentAt.get(frame.ref);
    if (at === undefined || frame.ref === undefined) return;
    sentAt.delete(frame.ref);
    measures.acked.add(1);
    measures.ackLatency.add(Date.now() - at);
    endOnceDone();
  }

  socket.onmessage = (event) => {
    const frame = JSON.parse(String(event?.data)) as Frame;
    if (frame.type === 'new_message') delivered(frame);
    else if (frame.type === 'message_ack') acked(frame);
    else if (frame.type === 'welcome') {
      socket.send(JSON.stringify({ type: 'join_room', room_id: roomId, payload: {} }));
    } else if (frame.type === 'joined') joined(frame);
    else if (frame.type === 'error') measures.errorFrames.add(1);
  };
  socket.onerror = () => measures.socketFailures.add(1);
  socket.onclose = () => {
    if (isOver) return;
    measures.socketFailures.add(1);
    end(0);
  };
}
