/** Values made from schemas: right ones, and such as differ in one place from right ones. */
import fc, { type Arbitrary } from 'fast-check';

/** What of JSON Schema the project's schemas use. */
interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Ids that stand for the room, the message and the user of a run: replaced by the real ones, which are as long. */
export const ID_PLACES = {
  room: '00000000-0000-7000-8000-0000000000a1',
  message: '00000000-0000-7000-8000-0000000000a2',
  user: '00000000-0000-7000-8000-0000000000a3',
  attachment: '00000000-0000-7000-8000-0000000000a4',
  hidden: '00000000-0000-7000-8000-0000000000a5',
} as const;

const UUID = /^\^\[0-9a-f\]\{8\}/;
export const anId: Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...Object.values(ID_PLACES)) },
  { weight: 1, arbitrary: fc.uuid() },
);

/** Text that has broken servers elsewhere. */
export const nastyText: Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.constantFrom(
    ...['', ' ', '\u0000', '\ud800', '\udfff\ud800', '\u202e', '\ufeff', '__proto__', 'constructor', 'null'],
    ...[
      "' or 1=1 --",
      '$\u007b7*7}',
      '{{7*7}}',
      '../../etc/passwd',
      '%00',
      '%zz',
      '\r\nx: y',
      '<script>',
      '\\u0000',
    ],
    ...[
      '((((((',
      '"unended',
      'a & | ! b',
      '-',
      '- - -',
      'or or or',
      '"" ""',
      '*:*',
      "\\'",
      'a'.repeat(5_001),
    ],
    ...[
      '😀'.repeat(2_600),
      'é'.repeat(300),
      '@'.repeat(100),
      '@aaa '.repeat(90),
      '1e999',
      'NaN',
      '9'.repeat(30),
    ],
  ),
);

/** Any value that JSON has, nasty ones among them. */
export const anyJson: Arbitrary<unknown> = fc.oneof(
  nastyText,
  fc.jsonValue({ maxDepth: 4 }),
  fc.constantFrom(null, true, 0, -0, -1, 1e21, 2 ** 53, -(2 ** 63), 0.5, [], {}, [[]], { __proto__x: 1 }),
);

/** Values that the schema takes, nearly always. */
export function madeFrom(schema: Schema): Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(madeFrom));
  switch (schema.type) {
    case 'string':
      return textOf(schema);
    case 'integer':
      return fc.oneof(
        fc.integer({ min: 0, max: 20 }),
        fc.constantFrom(schema.minimum ?? 0, schema.maximum ?? 100),
      );
    case 'array':
      return fc.array(madeFrom(schema.items ?? {}), { maxLength: Math.min(schema.maxItems ?? 5, 5) });
    case 'object':
      return schema.patternProperties === undefined ? objectOf(schema) : fc.dictionary(fc.string(), anyJson);
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    default:
      return anyJson;
  }
}

function textOf({ pattern, minLength = 0, maxLength = 200 }: Schema): Arbitrary<string> {
  if (pattern === undefined) {
    const text = fc.string({
      unit: 'grapheme',
      minLength,
      maxLength: Math.max(minLength, Math.min(maxLength, 80)),
    });
    return fc.oneof({ weight: 3, arbitrary: text }, { weight: 1, arbitrary: nastyText });
  }
  if (UUID.test(pattern)) return anId;
  return fc.oneof(
    { weight: 3, arbitrary: fc.stringMatching(new RegExp(pattern)) },
    { weight: 1, arbitrary: nastyText },
  );
}

function objectOf({ properties = {}, required = [] }: Schema): Arbitrary<Record<string, unknown>> {
  const members = Object.fromEntries(
    Object.entries(properties).map(([name, each]) => [name, madeFrom(each)]),
  );
  return fc.record(members, { requiredKeys: [...required] });
}

/** Values of a schema, some with a member too few, too many or of another kind. */
export function nearlyOf(schema: Schema): Arbitrary<unknown> {
  const right = madeFrom(schema);
  const wrong = fc
    .tuple(right, fc.nat(), fc.constantFrom('drop', 'add', 'replace'), nastyText, anyJson)
    .map(([value, at, how, name, other]) => broken(value, at, how, name, other));
  return fc.oneof(
    { weight: 3, arbitrary: right },
    { weight: 2, arbitrary: wrong },
    { weight: 1, arbitrary: anyJson },
  );
}

function broken(value: unknown, at: number, how: string, name: string, other: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return other;
  const entries: [string, unknown][] = Object.entries(value);
  const place = entries.length === 0 ? 0 : at % entries.length;
  if (how === 'add') entries.push([name, other]);
  else
    entries.splice(
      place,
      1,
      ...(how === 'drop' ? [] : [[entries[place]?.[0] ?? name, other] as [string, unknown]]),
    );
  return Object.fromEntries(entries);
}

/** Bytes with some of them changed, doubled, cut out or cut off. */
export function damaged(bytes: Arbitrary<Buffer>): Arbitrary<Buffer> {
  const damage = fc.array(
    fc.tuple(
      fc.nat(),
      fc.constantFrom('set', 'insert', 'cut', 'end'),
      fc.integer({ min: 0, max: 255 }),
      fc.nat(40),
    ),
    { minLength: 1, maxLength: 4 },
  );
  return fc.tuple(bytes, damage).map(([whole, steps]) => {
    let data = whole;
    for (const [place, how, byte, length] of steps) {
      const at = data.length === 0 ? 0 : place % data.length;
      const tail =
        how === 'end'
          ? Buffer.alloc(0)
          : data.subarray(at + (how === 'set' ? 1 : how === 'cut' ? length : 0));
      const middle = how === 'set' || how === 'insert' ? Buffer.from([byte]) : Buffer.alloc(0);
      data = Buffer.concat([data.subarray(0, at), middle, tail]);
    }
    return data;
  });
}
