import { Refusal } from './errors.js';

/** Nesting beyond this is refused in both encodings: nothing in the protocol needs more (PROTOCOL §5). */
export const MAX_DEPTH = 32;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COLON_NEXT = /\s*:/y;
const NUMBER = /-?\d[\d.eE+-]*/y;
const INTEGER = /^-?\d+$/;

/**
 * Parses JSON more strictly than `JSON.parse`: refuses nesting deeper than {@link MAX_DEPTH} before parsing,
 * duplicate members, members named `__proto__`, integers that a number can't hold, U+0000 and lone surrogates in any
 * string.
 *
 * `JSON.parse` silently keeps the last of two equal members, so the text's colons outside of strings are
 * counted in one pass and compared with the members of the result; only a difference is looked into.
 *
 * @param checkDuplicatesIn a member of the top-level object: only duplicates below it are refused (PROTOCOL
 *   §1: beside a frame's `payload` they are ignored). Without it, all are.
 * @param decoded is handed the value before it is checked
 * @throws Refusal `bad_request`
 */
export function parseStrictJson(
  text: string,
  checkDuplicatesIn?: string,
  decoded?: (value: unknown) => void,
): unknown {
  const members = scan(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal('bad_request', { sentence: 'The body is not valid JSON.' });
  }
  decoded?.(value);
  const notes = { hasLarge: false };
  const seen = checkValue(value, '', 0, notes);
  if (notes.hasLarge) refuseRounded(text);
  if (seen !== members) {
    const duplicate = findDuplicate(text, checkDuplicatesIn);
    if (duplicate !== null) {
      throw new Refusal('bad_request', { field: duplicate, sentence: `Duplicate member: ${duplicate}` });
    }
  }
  return value;
}

/** Counts the members in a JSON text and refuses one nested too deep. Needs no valid JSON. */
function scan(text: string): number {
  let colons = 0;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) {
      i = endOfString(text, i);
    } else if (c === COLON) {
      colons++;
    } else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
      if (++depth > MAX_DEPTH) throw new Refusal('bad_request', { sentence: 'Nested too deep.' });
    } else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) {
      depth--;
    }
  }
  return colons;
}

/** The index of the quote that closes the string opened at `start`, or the text's end. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

/**
 * Refuses text that PostgreSQL or UTF-8 can't hold, and `__proto__`, in a decoded value of either encoding.
 *
 * @param notes is told of a number beyond what integers are exact to
 * @returns how many members all objects in the value have together
 * @throws Refusal `bad_request` with the dotted path of the culprit
 */
export function checkValue(
  value: unknown,
  path: string,
  depth: number,
  notes?: { hasLarge: boolean },
): number {
  if (typeof value === 'string') {
    checkText(value, path);
    return 0;
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Refusal('bad_request', { field: path, sentence: 'Not a number.' });
    if (notes !== undefined && Math.abs(value) > Number.MAX_SAFE_INTEGER) notes.hasLarge = true;
    return 0;
  }
  if (value === null || typeof value === 'boolean') return 0;
  if (typeof value !== 'object' || depth > MAX_DEPTH) {
    throw new Refusal('bad_request', { field: path === '' ? undefined : path });
  }
  let members = 0;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) members += checkValue(value[i], `${path}.${i}`, depth + 1, notes);
    return members;
  }
  for (const key of Object.keys(value)) {
    const memberPath = path === '' ? key : `${path}.${key}`;
    if (key === '__proto__') {
      throw new Refusal('bad_request', { field: memberPath, sentence: 'Unknown member: __proto__' });
    }
    checkText(key, memberPath);
    members += 1 + checkValue((value as Record<string, unknown>)[key], memberPath, depth + 1, notes);
  }
  return members;
}

/**
 * Refuses an integer that `JSON.parse` rounded: what is stored and sent on would be another one. Walks a text that is
 * known to be valid JSON and to have a large number. A number with a fraction or an exponent is meant to be rounded.
 */
function refuseRounded(text: string): void {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) i = endOfString(text, i);
    NUMBER.lastIndex = i;
    const [number] = NUMBER.exec(text) ?? [];
    if (number === undefined) continue;
    if (INTEGER.test(number) && BigInt(number) !== BigInt(Number(number))) {
      throw new Refusal('bad_request', {
        sentence: `An integer beyond what a number holds exactly: ${number}`,
      });
    }
    i += number.length - 1;
  }
}

function checkText(text: string, path: string): void {
  if (text.includes('\0') || !text.isWellFormed()) {
    const field = path.includes('\0') || !path.isWellFormed() ? undefined : withoutPayload(path);
    throw new Refusal('bad_request', { field, sentence: 'Text may not hold U+0000 or lone surrogates.' });
  }
}

/** A path as a client names it: members of a frame's payload without the `payload.` in front. */
function withoutPayload(path: string): string {
  return path.startsWith('payload.') ? path.slice('payload.'.length) : path;
}

/**
 * The dotted path of the first member that occurs twice in one object, or null. Walks a text that is known
 * to be valid JSON; only reached when one exists or a `within` is given.
 */
function findDuplicate(text: string, within: string | undefined): string | null {
  interface Level {
    readonly keys: Set<string> | null;
    readonly path: string;
    last: string;
  }
  const levels: Level[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === OPEN_BRACE || c === OPEN_BRACKET) {
      const parent = levels.at(-1);
      const path = parent === undefined ? '' : [parent.path, parent.last].filter(Boolean).join('.');
      levels.push({ keys: c === OPEN_BRACE ? new Set() : null, path, last: '' });
    } else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) {
      levels.pop();
    } else if (c === QUOTE) {
      const end = endOfString(text, i);
      const level = levels.at(-1);
      COLON_NEXT.lastIndex = end + 1;
      if (level?.keys && COLON_NEXT.test(text)) {
        const key = JSON.parse(text.slice(i, end + 1)) as string;
        const path = level.path === '' ? key : `${level.path}.${key}`;
        const counts = within === undefined || path.startsWith(`${within}.`);
        if (level.keys.has(key) && counts) return within === undefined ? path : path.slice(within.length + 1);
        level.keys.add(key);
        level.last = key;
      }
      i = end;
    }
  }
  return null;
}
