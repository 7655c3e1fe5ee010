import { describe, expect, test } from 'vitest';
import { checkClaim, decideType, SAMPLE_BYTES } from '../../src/attachments/file-types.js';
import { grantSigner } from '../../src/attachments/local-links.js';
import { presentation } from '../../src/attachments/presentation.js';
import { parseRange } from '../../src/transfer/ranges.js';

describe('ranges', () => {
  test.each([
    ['bytes=0-9', { start: 0, end: 9 }],
    ['bytes=90-', { start: 90, end: 99 }],
    ['bytes=-10', { start: 90, end: 99 }],
    ['bytes=-1000', { start: 0, end: 99 }],
    ['bytes=50-1000', { start: 50, end: 99 }],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['', null],
    ['bytes=-', null],
    ['bytes=9-0', null],
    ['bytes=0-1,5-6', null],
    ['lines=0-9', null],
  ])('%j of 100 bytes is %j', (header, range) => {
    expect(parseRange(header, 100)).toEqual(range);
  });
});

describe('types', () => {
  const allowed = ['image/*', 'text/plain', 'application/octet-stream'];
  const decided = (bytes: Uint8Array, claim: string) =>
    decideType(bytes, claim, allowed).catch((error: Error) => error.message);

  test('text may end the sample in the middle of a character', async () => {
    const text = Buffer.from(`${'x'.repeat(SAMPLE_BYTES - 1)}€`).subarray(0, SAMPLE_BYTES);
    expect(await decided(text, 'text/plain; charset=utf-8')).toBe('text/plain');
  });

  test.each(['text/html', 'image/svg+xml', 'application/xhtml+xml', 'text/javascript', 'image/png'])(
    'text that claims to be %s is refused',
    async (claim) => {
      expect(await decided(Buffer.from('<p>x</p>'), claim)).toBe('unsupported_media_type');
    },
  );

  test('HTML in UTF-16 is no sound, whatever it claims to be', async () => {
    const little = Buffer.from('\ufeff<html><script>1</script>'.padEnd(200, ' '), 'utf16le');
    for (const bytes of [little, Buffer.from(little).swap16()]) {
      for (const claim of ['image/png', 'audio/mpeg', 'video/mp4', 'text/plain']) {
        expect(await decideType(bytes, claim, ['*']).catch(({ message }: Error) => message)).toBe(
          'unsupported_media_type',
        );
      }
    }
  });

  test('a file of another kind than it claims to be is refused; sound may come as film', async () => {
    const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');
    const webm = Buffer.from('1a45dfa39f4286810142f7810142f2810442f381084282847765626d', 'hex');
    const decided = (bytes: Uint8Array, claim: string) =>
      decideType(bytes, claim, ['*']).catch(({ message }: Error) => message);
    expect(await decided(png, 'image/jpeg')).toBe('image/png');
    expect(await decided(png, 'application/octet-stream')).toBe('image/png');
    expect(await decided(png, 'audio/mpeg')).toBe('unsupported_media_type');
    expect(await decided(webm, 'audio/webm')).toBe('video/webm');
    expect(await decided(webm, 'image/png')).toBe('unsupported_media_type');
    expect(await decided(Buffer.from('%PDF-1.7\n'.padEnd(200, 'x')), 'image/png')).toBe(
      'unsupported_media_type',
    );
  });

  test.each([
    ['image/png', true],
    ['IMAGE/JPG; q=1', true],
    ['text/csv', true], // kept as text
    ['application/octet-stream', true], // says nothing
    ['application/x-zip-compressed', false],
    ['application/pdf', false],
    ['video/mp4', false],
    ['image/svg+xml', false],
    ['imagery/png', false],
  ])('a file claimed to be %s may be brought: %s', (claim, may) => {
    const check = () => checkClaim(claim, ['image/*', 'text/plain']);
    if (may) check();
    else expect(check).toThrow('unsupported_media_type');
  });

  test('a claim that the bytes name otherwise is judged by their name', () => {
    for (const claim of ['application/msword', 'application/x-zip-compressed', 'text/rtf']) {
      expect(() => checkClaim(claim, ['image/png'])).toThrow('unsupported_media_type');
      checkClaim(claim, ['application/x-cfb', 'application/zip', 'application/rtf']);
    }
  });

  test('what is marked as a type that is not allowed is refused under any claim', async () => {
    const pdf = Buffer.from('%PDF-1.7\n'.padEnd(200, 'x'));
    for (const claim of ['image/png', 'text/plain', '']) {
      expect(await decided(pdf, claim)).toBe('unsupported_media_type');
    }
  });
});

test('a disposition is one safe header, however the file is named', () => {
  for (const name of ['a"b\\c;d.png', '../../x', 'ä€😀'.repeat(80), "it's (1)*.png", 'a\u202eb', '\ud800']) {
    const { disposition } = presentation(name, 'image/png');
    expect(disposition).toMatch(/^inline; filename="[\w .()-]*"; filename\*=UTF-8''[\w.!#$&+^`|~%-]*$/);
    expect(disposition.length).toBeLessThan(1_200);
  }
});

test('a grant that was signed with another secret, changed, cut or over is none', () => {
  const signer = grantSigner('a secret of the tests');
  const now = Date.now();
  const until = Math.floor(now / 1_000) + 60;
  const grant = { op: 'get', key: 'ab/c', until, type: 'image/png', disposition: 'inline' } as const;
  const token = signer.sign(grant);
  expect(signer.read(token, now)).toEqual(grant);
  expect(signer.read(token, now + 61_000)).toBeNull();
  expect(grantSigner('another secret').read(token, now)).toBeNull();
  for (let at = 0; at < token.length - 1; at++) {
    const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
    expect(signer.read(changed, now)).toBeNull();
    expect(signer.read(token.slice(0, at), now)).toBeNull();
  }
});
