import { must, until } from './deadline.js';
import { createMember, faultsOfRoom, type Member } from './member-view.js';
import { type Account, newAccount, newRoom, restClient, wholeHistory } from './rest-client.js';
import { ackFaults, createSender, type Sender } from './sender.js';

/** Members of some rooms who all send and all watch, on connections that they open again when they are lost. */
export interface Load {
  readonly members: readonly Member[];
  readonly senders: readonly Sender[];
  readonly roomIds: readonly string[];
  readonly owner: Account;
  /** Waits until `count` more messages are acknowledged; fails at once where a member or sender failed. */
  readonly acks: (count: number, deadlineMs?: number) => Promise<void>;
  /** Stops sending, waits until everything is acknowledged and everybody connected, and gives what is wrong. */
  readonly finish: () => Promise<string[]>;
}

interface LoadOptions {
  /** Where the server is now: it may be another one after a restart. */
  readonly server: () => { readonly url: string; readonly wsUrl: string };
  readonly members: number;
  readonly rooms: number;
  /** Messages in flight of each sender. */
  readonly depth?: number;
  /** Whether faults are such that no send is refused, so that each sender's order must hold (I7). */
  readonly ordered: boolean;
}

const ACKS_DEADLINE_MS = 30_000;
const FAULTS_SHOWN = 20; // one cause can show in thousands of places

/** Registers, joins and starts sending. Every second member speaks MessagePack. */
export async function startLoad(options: LoadOptions): Promise<Load> {
  const rest = restClient(options.server().url);
  const accounts = await Promise.all(
    Array.from({ length: options.members }, () => newAccount(rest, 'member')),
  );
  const owner = must(accounts[0]);
  const rooms = await Promise.all(
    Array.from({ length: options.rooms }, () => newRoom(rest, owner, accounts.slice(1))),
  );
  const roomIds = rooms.map((room) => room.id);
  const members = accounts.map((account, index) =>
    createMember({
      wsUrl: () => options.server().wsUrl,
      account,
      encoding: index % 2 === 0 ? 'json' : 'msgpack',
    }),
  );
  let over = false;
  const running: Promise<void>[] = [];
  for (const member of members) {
    await member.connect();
    for (const roomId of roomIds) await member.join(roomId);
    running.push(member.keepConnected(() => over));
  }
  const senders = members.map((member) => createSender(member, roomIds, options.depth));
  running.push(...senders.map((sender) => sender.run(() => over)));
  const ended = Promise.all(running);
  ended.catch(() => undefined); // whoever waits for it gets the failure
  const acked = (): number => senders.reduce((sum, sender) => sum + sender.acked(), 0);

  return {
    members,
    senders,
    roomIds,
    owner,
    acks: async (count, deadlineMs = ACKS_DEADLINE_MS) => {
      const enough = acked() + count;
      await Promise.race([ended, until(() => acked() >= enough, `${count} more acks`, deadlineMs)]);
    },
    finish: async () => {
      const connected = until(
        () => members.every((member) => member.client() !== null),
        'everybody connected',
        ACKS_DEADLINE_MS,
      );
      await Promise.race([ended, connected]);
      over = true;
      await ended;
      const faults = senders.flatMap((sender) => sender.faults);
      let stored = 0;
      for (const roomId of roomIds) {
        const { url } = options.server();
        faults.push(...(await faultsOfRoom(url, roomId, members)));
        const history = await wholeHistory(restClient(url), owner.token, roomId);
        stored += history.length;
        const byId = new Map(history.map((message) => [message.id, message]));
        for (const sender of senders) faults.push(...faultsInRoom(sender, roomId, byId, options.ordered));
      }
      const sent = senders.reduce((sum, sender) => sum + sender.sent.length, 0);
      if (stored !== sent) faults.push(`${sent} sent, ${stored} stored`);
      return faults.slice(0, FAULTS_SHOWN);
    },
  };
}

function faultsInRoom(
  sender: Sender,
  roomId: string,
  byId: Parameters<typeof ackFaults>[1],
  ordered: boolean,
): string[] {
  const sent = sender.sent.filter((message) => message.roomId === roomId);
  const unacked = sent
    .filter((message) => message.ack === null)
    .map((message) => `${message.content}: no ack`);
  const faults = [...unacked, ...ackFaults({ ...sender, sent }, byId)];
  const seqs = sent.map((message) => message.ack?.seq_no ?? 0);
  const inOrder = seqs.every((seq, index) => index === 0 || seq > (seqs[index - 1] ?? 0));
  return ordered && !inOrder ? [...faults, `a sender’s order was lost: ${seqs.join(' ')}`] : faults;
}
