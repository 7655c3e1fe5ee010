import { BlockList, isIP } from 'node:net';
import type { AddressBlock } from '../ipc/messages.js';
import { type Problem, problem } from '../protocol/errors.js';
import { normalAddress } from './client-address.js';

/** Tells of an address as `client-address.ts` gives it. */
type Matches = (address: string) => boolean;

/** From where nobody may come, as operators say. */
export interface AddressBlocks {
  /** Takes the whole list anew, and tells what is blocked by those of them that are new. */
  replace(blocks: readonly AddressBlock[]): Matches;
  /** Whether there are any: without them nobody need ask for an address. */
  any(): boolean;
  /** Costs a look into a map, and where there are ranges some microseconds: 7 with a thousand of them. */
  readonly has: Matches;
}

interface Range {
  readonly network: string;
  readonly prefix: number;
  /** Epoch ms. */
  readonly until: number;
}

/** What is answered to whoever comes from there. */
export const blockedAddress = (): Problem => problem('forbidden', { sentence: 'This address is blocked.' });

const FAMILY = { 0: null, 4: 'ipv4', 6: 'ipv6' } as const;
const familyOf = (address: string) => FAMILY[isIP(address) as keyof typeof FAMILY];
const keyOf = ({ network, until_ms }: AddressBlock): string => `${network} ${until_ms}`;

export function createAddressBlocks(): AddressBlocks {
  let known: ReadonlySet<string> = new Set();
  let has = compiled([]);
  return {
    replace(blocks) {
      const fresh = blocks.filter((block) => !known.has(keyOf(block)));
      known = new Set(blocks.map(keyOf));
      has = compiled(blocks);
      return compiled(fresh);
    },
    any: () => known.size > 0,
    has: (address) => has(address),
  };
}

function compiled(blocks: readonly AddressBlock[]): Matches {
  /** Address → until when. */
  const single = new Map<string, number>();
  let ranges: Range[] = [];
  for (const { network: text, until_ms } of blocks) {
    const [address = '', prefix] = text.split('/');
    const until = until_ms ?? Number.POSITIVE_INFINITY;
    const network = normalAddress(address);
    if (network === null) continue;
    if (prefix === undefined) single.set(network, until);
    else ranges.push({ network, prefix: Number(prefix), until });
  }
  let list = listOf(ranges);
  /** When the first of the ranges expires: the list knows no times. */
  let goodUntil = firstEnd(ranges);

  return (address) => {
    const until = single.get(address);
    if (until !== undefined && until > Date.now()) return true;
    if (ranges.length === 0) return false;
    const now = Date.now();
    if (goodUntil <= now) {
      ranges = ranges.filter((range) => range.until > now);
      list = listOf(ranges);
      goodUntil = firstEnd(ranges);
    }
    const family = familyOf(address);
    return family !== null && list.check(address, family);
  };
}

function listOf(ranges: readonly Range[]): BlockList {
  const list = new BlockList();
  for (const { network, prefix } of ranges) list.addSubnet(network, prefix, familyOf(network) ?? 'ipv4');
  return list;
}

function firstEnd(ranges: readonly Range[]): number {
  return Math.min(Number.POSITIVE_INFINITY, ...ranges.map(({ until }) => until));
}
