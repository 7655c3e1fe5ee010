import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Ack } from './frames.js';
import type { Member } from './member-view.js';
import { Disconnected, Refused } from './ws-client.js';

const RETRY_MS = 20;

/** A message that its sender keeps sending, under one id, until it is acknowledged. */
export interface Outgoing {
  readonly id: string;
  readonly content: string;
  readonly roomId: string;
  ack: Ack | null;
}

export interface Sender {
  /** All that it ever sent, in order. */
  readonly sent: readonly Outgoing[];
  readonly acked: () => number;
  /** How many refusals it met on its way, by code. */
  readonly refusals: ReadonlyMap<string, number>;
  /** Acks of one message that contradict each other. */
  readonly faults: readonly string[];
  /** Sends until `stopped`, then until everything is acknowledged. */
  readonly run: (stopped: () => boolean) => Promise<void>;
}

/**
 * Sends numbered messages to the rooms in turn, `depth` at a time, over its member's connection of the moment; what
 * a lost connection left open is sent again, in the same order and under the same ids.
 */
export function createSender(member: Member, roomIds: readonly string[], depth = 8): Sender {
  const sent: Outgoing[] = [];
  const faults: string[] = [];
  const refusals = new Map<string, number>();
  let open: Outgoing[] = [];

  const next = (): Outgoing => {
    const roomId = roomIds[sent.length % roomIds.length] ?? '';
    const outgoing = {
      id: randomUUID(),
      content: `${member.account.username} ${sent.length}`,
      roomId,
      ack: null,
    };
    sent.push(outgoing);
    return outgoing;
  };
  const send = async (outgoing: Outgoing): Promise<void> => {
    const client = member.client();
    if (client === null) throw new Disconnected('between two connections');
    const { id, content, roomId } = outgoing;
    const ack = await client.ask<Ack>('send_message', { id, content }, roomId);
    const before = outgoing.ack;
    if (before !== null && !isDeepStrictEqual({ ...before, duplicate: true }, { ...ack, duplicate: true })) {
      faults.push(`${JSON.stringify(before)} became ${JSON.stringify(ack)}`);
    }
    outgoing.ack ??= ack;
  };

  return {
    sent,
    faults,
    refusals,
    acked: () => sent.length - open.length,
    run: async (stopped) => {
      for (;;) {
        while (!stopped() && open.length < depth) open.push(next());
        if (open.length === 0) return;
        const results = await Promise.allSettled(open.map(send));
        open = open.filter((outgoing) => outgoing.ack === null);
        for (const result of results) if (result.status === 'rejected') noteFailure(result.reason, refusals);
        if (results.some((result) => result.status === 'rejected')) await sleep(RETRY_MS);
      }
    },
  };
}

/** A lost connection and a refusal worth a retry are what the sender lives with; anything else fails the test. */
function noteFailure(reason: unknown, refusals: Map<string, number>): void {
  if (reason instanceof Disconnected) return;
  if (!(reason instanceof Refused) || !reason.problem.retry) throw reason;
  const { code } = reason.problem;
  refusals.set(code, (refusals.get(code) ?? 0) + 1);
}

/** What is wrong with acknowledgements, given the room's history by id: lost, or not what was acknowledged. */
export function ackFaults(
  sender: Sender,
  byId: ReadonlyMap<string, { seq_no: number; content: string; created_at: string }>,
): string[] {
  return sender.sent.flatMap(({ id, content, ack }) => {
    if (ack === null) return [];
    const stored = byId.get(id);
    if (stored === undefined) return [`acked seq_no ${ack.seq_no}, "${content}", is lost`];
    const kept =
      stored.seq_no === ack.seq_no && stored.content === content && stored.created_at === ack.created_at;
    return kept ? [] : [`acked ${JSON.stringify(ack)}, stored ${JSON.stringify(stored)}`];
  });
}
