import { isUtf8 } from 'node:buffer';
import { fileTypeFromBuffer } from 'file-type';
import { Refusal } from '../protocol/errors.js';

/** Bytes at the start of a file that tell its type (as file-type asks for). */
export const SAMPLE_BYTES = 4_100;

const TEXT = 'text/plain';
const UNKNOWN = 'application/octet-stream';
/** Claims under which text may come. What a browser would run or render is not among them. */
const TEXT_CLAIMS = new Set([TEXT, 'text/csv', 'text/markdown', 'application/json', UNKNOWN, '']);
/** What clients call types that bytes are named otherwise by. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['image/jpg', 'image/jpeg'],
  ['image/pjpeg', 'image/jpeg'],
  ['image/x-png', 'image/png'],
  ['image/x-ms-bmp', 'image/bmp'],
  ['application/x-zip-compressed', 'application/zip'],
  ['application/x-gzip', 'application/gzip'],
  ['application/msword', 'application/x-cfb'],
  ['application/vnd.ms-excel', 'application/x-cfb'],
  ['application/vnd.ms-powerpoint', 'application/x-cfb'],
  ['application/vnd.ms-outlook', 'application/x-cfb'],
  ['text/rtf', 'application/rtf'],
]);
/** Never, whatever the settings say: a browser runs these. */
const NEVER = /html|xml$|svg|javascript|ecmascript/;
/** Images of which a thumbnail is made. */
const PICTURES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif', 'image/tiff']);

/**
 * A file's type: what its first bytes say; the claim counts only for what has no such mark, which is text.
 *
 * @param claimed as the client said it; '' for nothing
 * @throws Refusal `unsupported_media_type`
 */
export async function decideType(
  sample: Uint8Array,
  claimed: string,
  allowed: readonly string[],
): Promise<string> {
  const claim = mediaTypeOf(claimed);
  const type = (await markedType(sample)) ?? unmarkedType(sample, claim);
  if (type === null || NEVER.test(type) || isOtherKind(claim, type) || !isAllowed(type, allowed)) {
    throw notAccepted('file');
  }
  return type;
}

/**
 * Refuses a file of which only the claim is known yet. Where that says nothing of the content (`application/octet-stream`), its
 * bytes are waited for.
 *
 * @throws Refusal `unsupported_media_type`
 */
export function checkClaim(claimed: string, allowed: readonly string[]): void {
  const claim = mediaTypeOf(claimed);
  if (claim === UNKNOWN) return;
  const type = TEXT_CLAIMS.has(claim) ? TEXT : (OTHER_NAMES.get(claim) ?? claim);
  if (isHopeless(claimed) || !isAllowed(type, allowed)) throw notAccepted('file_type');
}

function notAccepted(field: 'file' | 'file_type'): Refusal {
  return new Refusal('unsupported_media_type', { field, sentence: 'This type of file is not accepted.' });
}

/** Without its parameters. */
function mediaTypeOf(claimed: string): string {
  return claimed.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/**
 * Whether a file is shown otherwise than its sender said: a picture that is none, or sound or film that is a picture.
 * Sound and film share their containers, and some of these are marked as `application/…`.
 */
function isOtherKind(claim: string, type: string): boolean {
  if (claim.startsWith('image/')) return !type.startsWith('image/');
  return /^(?:audio|video)\//.test(claim) && type.startsWith('image/');
}

/** Text in UTF-16 begins as a frame of MPEG audio may, of a kind that nobody makes any more. */
function isUtf16([first, second]: Uint8Array): boolean {
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
}

async function markedType(sample: Uint8Array): Promise<string | null> {
  try {
    const type = (await fileTypeFromBuffer(sample))?.mime.split(';', 1)[0] ?? null;
    return type?.startsWith('audio/') && isUtf16(sample) ? null : type;
  } catch {
    return null; // a file that ends inside its own header
  }
}

function unmarkedType(sample: Uint8Array, claim: string): string | null {
  if (!TEXT_CLAIMS.has(claim)) return null;
  if (looksLikeText(sample)) return TEXT;
  return claim === UNKNOWN || claim === '' ? UNKNOWN : null;
}

/** UTF-8 without U+0000; the sample may cut its last character. */
function looksLikeText(sample: Uint8Array): boolean {
  if (sample.includes(0)) return false;
  const cuts = sample.length < SAMPLE_BYTES ? [0] : [0, 1, 2, 3];
  return cuts.some((cut) => isUtf8(sample.subarray(0, sample.length - cut)));
}

function isAllowed(type: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : type === pattern,
  );
}

/** Whether a claim alone rules a file out, before any byte of it has come. */
export function isHopeless(claimed: string): boolean {
  return NEVER.test(claimed.toLowerCase());
}

export function isPicture(type: string): boolean {
  return PICTURES.has(type);
}
