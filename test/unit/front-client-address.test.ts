import { describe, expect, test } from 'vitest';
import { forwardedAddress, limitKey, normalAddress, trustedProxies } from '../../src/front/client-address.js';

const trusted = trustedProxies(['10.0.0.0/8', '127.0.0.1', 'fd00::/8']);

describe('the client of a forwarded request', () => {
  test.each([
    ['an untrusted peer is the client', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['without a header the peer is', '10.0.0.1', '', '10.0.0.1'],
    ['a trusted peer names it', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['what the client made up is skipped', '10.0.0.1', '1.1.1.1, 198.51.100.1, 10.2.3.4', '198.51.100.1'],
    ['when all are trusted, the first is', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['garbage ends the trust', '10.0.0.1', '198.51.100.1, unknown, 10.0.0.2', '10.0.0.2'],
    ['an empty hop ends it too', '10.0.0.1', '198.51.100.1,,', '10.0.0.1'],
    ['IPv6 proxies', 'fd00:0000:0000:0000:0000:0000:0000:0001', '2001:DB8::0:1', '2001:db8::1'],
    ['IPv4-mapped peers', '0000:0000:0000:0000:0000:ffff:0a00:0001', '198.51.100.1', '198.51.100.1'],
    ['ports are cut', '127.0.0.1', '198.51.100.1:99, [fd00::2]:80', '198.51.100.1'],
    ['no address at all', '', '198.51.100.1', ''],
  ])('%s', (_name, peer, header, client) => expect(forwardedAddress(peer, header, trusted)).toBe(client));

  test('without trusted proxies the header is never believed', () => {
    expect(forwardedAddress('127.0.0.1', '198.51.100.1', trustedProxies([]))).toBe('127.0.0.1');
  });
});

test.each([
  ['::ffff:127.0.0.1', '127.0.0.1'],
  ['::1', '::1'],
  ['fe80::1%eth0', null],
  ['localhost', null],
])('%s normalises to %s', (text, normal) => expect(normalAddress(text)).toBe(normal));

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['', ''],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:db8::9', '2001:db8:0:0::/64'],
  ['2001:db8:0:1::', '2001:db8:0:1::/64'],
  ['::1', '0:0:0:0::/64'],
])('limits go for %s by %s', (address, key) => expect(limitKey(address)).toBe(key));
