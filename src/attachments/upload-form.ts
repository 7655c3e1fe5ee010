import { once } from 'node:events';
import type { Readable } from 'node:stream';
import busboy from 'busboy';
import { Refusal } from '../protocol/errors.js';

/** The one file of an upload's form. */
export interface FormFile {
  readonly file_name: string;
  /** The media type as the client said it. */
  readonly claimed: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/**
 * Reads a multipart form that holds one file in the field `file`, and nothing else. Takes from `source` as fast as
 * `take` takes from the file; where `take` fails, no more is read.
 *
 * @returns what `take` made of the file, once the form has ended as it should
 * @throws Refusal `bad_request`, `unsupported_media_type`; or what `take` or `source` throw
 */
export async function readUploadForm<T>(
  contentType: string,
  source: AsyncIterable<Uint8Array>,
  take: (file: FormFile) => Promise<T>,
): Promise<T> {
  const form = openForm(contentType);
  let fail!: (error: unknown) => void;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  const taken: Promise<T>[] = []; // one at most
  form.on('file', (field, stream, info) => {
    stream.on('error', () => undefined); // heard of as the form's
    if (field !== 'file' || taken.length > 0) return fail(badForm(field));
    const claimed = info.mimeType;
    const file = take({ file_name: info.filename ?? '', claimed, bytes: wholeOf(stream) });
    file.catch(fail);
    taken.push(file);
  });
  form.on('field', (field) => fail(badForm(field)));
  form.on('error', () => fail(new Refusal('bad_request', { sentence: 'The form is malformed or cut off.' })));
  const closed = once(form, 'close').catch(() => undefined);
  try {
    await Promise.race([pump(source, form), failed]);
    await Promise.race([closed, failed]);
    const [file] = taken;
    if (file === undefined) throw badForm('file');
    return await Promise.race([file, failed]);
  } finally {
    form.destroy();
    await Promise.allSettled(taken); // nothing of it goes on
  }
}

function openForm(contentType: string): busboy.Busboy {
  if (!/^multipart\/form-data\b/i.test(contentType)) throw new Refusal('unsupported_media_type');
  try {
    return busboy({
      headers: { 'content-type': contentType },
      preservePath: true, // a name is a label, whatever it looks like
      defParamCharset: 'utf8',
      limits: { fields: 1, files: 2, parts: 2, headerPairs: 20 },
    });
  } catch {
    throw new Refusal('bad_request', { sentence: 'The form has no boundary.' });
  }
}

async function pump(source: AsyncIterable<Uint8Array>, form: busboy.Busboy): Promise<void> {
  for await (const chunk of source) {
    if (form.destroyed) return;
    if (!form.write(chunk)) await Promise.race([once(form, 'drain'), once(form, 'close')]);
  }
  form.end();
}

/** A file that the form's end cuts off is an error, not a shorter file. */
async function* wholeOf(stream: Readable): AsyncIterable<Uint8Array> {
  yield* stream;
  if (!stream.readableEnded) throw new Refusal('bad_request', { sentence: 'The form is cut off.' });
}

function badForm(field: string): Refusal {
  return new Refusal('bad_request', { field, sentence: 'The form holds one file, in the field `file`.' });
}
