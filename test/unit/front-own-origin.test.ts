import { describe, expect, test } from 'vitest';
import { trustedProxies } from '../../src/front/client-address.js';
import { ownOrigin } from '../../src/front/own-origin.js';

const trusted = trustedProxies(['10.0.0.0/8']);
const NONE = { host: '', forwardedHost: '', forwardedProto: '', isForwarded: false };

describe('where a client has called the server', () => {
  test.each([
    ['chat.example.org', 'http://chat.example.org'],
    ['Chat.Example.org:8080', 'http://chat.example.org:8080'],
    ['127.0.0.1:80', 'http://127.0.0.1'],
    ['[2001:db8::1]:8080', 'http://[2001:db8::1]:8080'],
    ['parley_node-1', 'http://parley_node-1'],
  ])('is its Host header: %s', (host, origin) =>
    expect(ownOrigin('http', { ...NONE, host }, () => '', trusted)).toBe(origin),
  );

  test.each([
    '',
    'evil.example.org/path',
    'good.example.org@evil.example.org',
    'a b',
    'a?b',
    'a#b',
    'a\\b',
    'a:b',
    'a:99999',
    'a"b',
    '<script>',
    'a,b',
    '[::1',
    '-a-',
    `${'a'.repeat(300)}.org`,
  ])('is not known by a Host header that is none: %j', (host) =>
    expect(ownOrigin('http', { ...NONE, host }, () => '', trusted)).toBe(''),
  );

  test('has the scheme of the server’s own TLS', () => {
    expect(ownOrigin('https', { ...NONE, host: 'a.org' }, () => '', trusted)).toBe('https://a.org');
  });

  test.each([
    [
      'a trusted proxy tells scheme and host',
      '10.0.0.1',
      'https',
      'chat.example.org',
      'https://chat.example.org',
    ],
    ['the host may be the one it passes on', '10.0.0.1', 'https', '', 'https://inner:8080'],
    ['a scheme that it does not tell is not guessed', '10.0.0.1', '', 'chat.example.org', ''],
    ['nor is one of several', '10.0.0.1', 'https, http', 'chat.example.org', ''],
    ['a made-up scheme is none', '10.0.0.1', 'javascript', 'chat.example.org', ''],
    ['a host that is none is not used', '10.0.0.1', 'https', 'a/b', ''],
    ['another proxy is not believed, and hides both', '203.0.113.9', 'https', 'chat.example.org', ''],
  ])('%s', (_name, peer, forwardedProto, forwardedHost, origin) => {
    const headers = { host: 'inner:8080', forwardedHost, forwardedProto, isForwarded: true };
    expect(ownOrigin('http', headers, () => peer, trusted)).toBe(origin);
  });
});
