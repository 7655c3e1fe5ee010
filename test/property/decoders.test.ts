import fc from 'fast-check';
import { Packr, Unpackr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { damaged } from '../../bench/fuzz/arbitrary.js';
import { Refusal } from '../../src/protocol/errors.js';
import { parseStrictJson } from '../../src/protocol/strict-json.js';
import { decodeMsgpack, parseStrictMsgpack } from '../../src/protocol/strict-msgpack.js';

const RUNS = 5_000;
const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({
  useRecords: false,
  mapsAsObjects: true,
  ...{ int64AsType: 'number' as never },
});

/** What both encodings take: no U+0000, lone surrogates or `__proto__`. */
const clean = fc
  .string({ unit: 'grapheme' })
  .filter((text) => !text.includes('\u0000') && text !== '__proto__');
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 5 },
    clean,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('any'), { maxLength: 5 }),
    fc.dictionary(clean, tie('any'), { maxKeys: 5, noNullPrototype: true }),
  ),
})).any;

/** The value, or null where it was refused; any other error is the test's. */
function unlessRefused(read: () => unknown): { value: unknown } | null {
  try {
    return { value: read() };
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

function keptOf(parse: (keep: (value: unknown) => void) => void): unknown {
  let kept: unknown;
  parse((found) => {
    kept = found;
  });
  return kept;
}

describe('JSON', () => {
  test('every clean value is read as it was written', () => {
    fc.assert(
      fc.property(value, (any) => {
        expect(parseStrictJson(JSON.stringify(any))).toEqual(any);
      }),
      { numRuns: RUNS },
    );
  });

  test('damaged texts are refused, or read as JSON.parse reads them', () => {
    const text = damaged(value.map((any) => Buffer.from(JSON.stringify(any))));
    fc.assert(
      fc.property(text, (bytes) => {
        const source = bytes.toString('utf8');
        const read = unlessRefused(() => parseStrictJson(source));
        if (read !== null) expect(read.value).toEqual(JSON.parse(source));
      }),
      { numRuns: RUNS },
    );
  });

  test('any text at all is refused or read, and nothing else is thrown', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        unlessRefused(() => parseStrictJson(text));
      }),
      { numRuns: RUNS },
    );
  });
});

describe('MessagePack', () => {
  const read = (bytes: Uint8Array): unknown => keptOf((keep) => parseStrictMsgpack(bytes, keep));

  test('every clean value is read as it was written', () => {
    fc.assert(
      fc.property(value, (any) => {
        expect(read(new Uint8Array(packr.pack(any)))).toEqual(any);
      }),
      { numRuns: RUNS },
    );
  });

  test('damaged bytes are refused, or read as another decoder reads them', () => {
    const bytes = damaged(value.map((any) => Buffer.from(packr.pack(any))));
    fc.assert(
      fc.property(bytes, (data) => {
        const found = unlessRefused(() => read(new Uint8Array(data)));
        if (found !== null) expect(found.value).toEqual(unpackr.unpack(data));
      }),
      { numRuns: RUNS },
    );
  });

  test('any bytes at all are refused or read, and nothing else is thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        unlessRefused(() => read(bytes));
      }),
      { numRuns: RUNS },
    );
  });
});

test('what the server encodes it decodes', () => {
  expect(decodeMsgpack(new Uint8Array(packr.pack({ a: [1] })))).toEqual({ a: [1] });
});
