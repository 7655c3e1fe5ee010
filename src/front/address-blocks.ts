import { BlockList, isIP } from 'node:net';
import type { AddressBlock } from '../ipc/messages.js';
import { type Problem, problem } from '../protocol/errors.js';
import { normalAddress } from './client-address.js';

/** From where nobody may come, as operators say. Addresses are asked for as `client-address.ts` gives them. */
export interface AddressBlocks {
  /** Takes the whole list anew. */
  replace(blocks: readonly AddressBlock[]): void;
  /** Whether there are any: without them nobody need ask for an address. */
  any(): boolean;
  /** Costs a look into a map, and where there are ranges some microseconds: 7 with a thousand of them. */
  has(address: string): boolean;
}

interface Range {
  readonly network: string;
  readonly prefix: number;
  readonly until: number;
}

/** What is answered to whoever comes from there. */
export const blockedAddress = (): Problem => problem('forbidden', { sentence: 'This address is blocked.' });

const FAMILY = { 0: null, 4: 'ipv4', 6: 'ipv6' } as const;
const familyOf = (address: string) => FAMILY[isIP(address) as keyof typeof FAMILY];

export function createAddressBlocks(): AddressBlocks {
  /** Address → until when, epoch ms. */
  let single = new Map<string, number>();
  let ranges: readonly Range[] = [];
  let list = new BlockList();
  /** When the first of the ranges expires: the list knows no times. */
  let goodUntil = Number.POSITIVE_INFINITY;

  function takeRanges(given: readonly Range[]): void {
    const now = Date.now();
    ranges = given.filter(({ until }) => until > now);
    list = new BlockList();
    for (const { network, prefix } of ranges) list.addSubnet(network, prefix, familyOf(network) ?? 'ipv4');
    goodUntil = Math.min(Number.POSITIVE_INFINITY, ...ranges.map(({ until }) => until));
  }

  return {
    replace(blocks) {
      single = new Map();
      const found: Range[] = [];
      for (const { network: text, until_ms } of blocks) {
        const [address = '', prefix] = text.split('/');
        const until = until_ms ?? Number.POSITIVE_INFINITY;
        const network = normalAddress(address);
        if (network === null) continue;
        if (prefix === undefined) single.set(network, until);
        else found.push({ network, prefix: Number(prefix), until });
      }
      takeRanges(found);
    },
    any: () => single.size > 0 || ranges.length > 0,
    has(address) {
      const until = single.get(address);
      if (until !== undefined && until > Date.now()) return true;
      if (ranges.length === 0) return false;
      if (goodUntil <= Date.now()) takeRanges(ranges);
      const family = familyOf(address);
      return family !== null && list.check(address, family);
    },
  };
}
