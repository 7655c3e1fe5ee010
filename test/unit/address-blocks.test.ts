import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createAddressBlocks } from '../../src/front/address-blocks.js';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const forEver = (...networks: string[]) => networks.map((network) => ({ network, until_ms: null }));

describe('blocked addresses', () => {
  test.each([
    ['203.0.113.9', ['203.0.113.9'], ['203.0.113.8', '2001:db8::1', '']],
    ['203.0.113.0/24', ['203.0.113.0', '203.0.113.255'], ['203.0.114.0', '']],
    ['2001:db8::/32', ['2001:db8::1', '2001:db8:ffff::1'], ['2001:db9::1', '203.0.113.9', '']],
    ['2001:DB8:0::1', ['2001:db8::1'], ['2001:db8::2']],
    ['0.0.0.0/0', ['203.0.113.9', '127.0.0.1'], ['2001:db8::1', '']],
  ])('%s takes in %j and not %j', (network, inside, outside) => {
    const blocks = createAddressBlocks();
    expect(blocks.any()).toBe(false);
    blocks.replace(forEver(network));
    expect(blocks.any()).toBe(true);
    for (const address of inside) expect([address, blocks.has(address)]).toEqual([address, true]);
    for (const address of outside) expect([address, blocks.has(address)]).toEqual([address, false]);
    blocks.replace([]);
    for (const address of inside) expect([address, blocks.has(address)]).toEqual([address, false]);
  });

  test('expire each at its own time', () => {
    const blocks = createAddressBlocks();
    const at = (ms: number) => Date.now() + ms;
    blocks.replace([
      { network: '203.0.113.9', until_ms: at(1_000) },
      { network: '198.51.100.0/24', until_ms: at(2_000) },
      { network: '192.0.2.0/24', until_ms: at(3_000) },
      ...forEver('10.0.0.0/8'),
    ]);
    const blocked = () =>
      ['203.0.113.9', '198.51.100.1', '192.0.2.1', '10.1.2.3'].map((address) => blocks.has(address));
    expect(blocked()).toEqual([true, true, true, true]);
    vi.advanceTimersByTime(1_000);
    expect(blocked()).toEqual([false, true, true, true]);
    vi.advanceTimersByTime(1_000);
    expect(blocked()).toEqual([false, false, true, true]);
    vi.advanceTimersByTime(1_000);
    expect(blocked()).toEqual([false, false, false, true]);
  });

  test('tells which addresses a new list blocks that the one before did not', () => {
    const blocks = createAddressBlocks();
    const first = blocks.replace(forEver('203.0.113.9', '10.0.0.0/8'));
    expect(['203.0.113.9', '10.1.2.3', '192.0.2.1'].map(first)).toEqual([true, true, false]);
    const second = blocks.replace(forEver('203.0.113.9', '10.0.0.0/8', '192.0.2.0/24'));
    expect(['203.0.113.9', '10.1.2.3', '192.0.2.1'].map(second)).toEqual([false, false, true]);
    const again = blocks.replace([{ network: '203.0.113.9', until_ms: Date.now() + 1_000 }]);
    expect(['203.0.113.9', '10.1.2.3', '192.0.2.1'].map(again)).toEqual([true, false, false]);
  });
});
