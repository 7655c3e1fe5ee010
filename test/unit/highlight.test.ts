import { describe, expect, it } from 'vitest';
import { highlight } from '../../src/http/highlight.js';

describe('a highlight', () => {
  it('marks the parts of the content that were marked', () => {
    expect(highlight('a cat sat', 'a \u0001cat\u0002 sat')).toBe('a <mark>cat</mark> sat');
  });

  it('escapes everything that HTML gives a meaning, inside and outside of marks', () => {
    expect(highlight(`<b "x='&'>`, `\u0001 b\u0002 "x=' '>`)).toBe(
      '<mark>&lt;b</mark> &quot;x=&#39;&amp;&#39;&gt;',
    );
  });

  it('takes characters from the content alone', () => {
    expect(highlight('harmless', '<script>')).toBe('harmless');
    expect(highlight('\u0001a\u0002', ' \u0001a\u0002 ')).toBe('\u0001<mark>a</mark>\u0002');
  });

  it('is the bare content where the marks do not fit it', () => {
    for (const marked of ['\u0001a<b', 'a<b\u0002', '\u0001\u0001a<b\u0002', '\u0001a\u0002', 'a<bc', '']) {
      expect(highlight('a<b', marked)).toBe('a&lt;b');
    }
  });
});
