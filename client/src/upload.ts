import { errorOf, localError, ParleyError } from './errors.js';
import { answerOf, type CallOptions, type Http } from './http.js';
import type { Attachment } from './types.js';

export interface UploadOptions extends CallOptions {
  readonly fileName?: string;
  /** Bytes sent so far. In steps in browsers; elsewhere at the start and the end. */
  readonly onProgress?: (sent: number, total: number) => void;
  /** False: through the server also where it offers storage directly. */
  readonly direct?: boolean;
}

interface Target {
  readonly method?: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
}
interface Presigned {
  readonly attachment: Attachment;
  readonly upload: Target | { readonly parts: readonly (Target & { readonly size: number })[] };
}

/** Codes of a server that doesn't offer storage directly. */
const NOT_OFFERED: ReadonlySet<string> = new Set(['not_found', 'method_not_allowed', 'conflict']);

/**
 * Uploads a file for a message of the room: straight to storage where the server offers that, else through the server. Send
 * the attachment's id with a message to attach it.
 * @throws ParleyError `payload_too_large`, `unsupported_media_type`, `quota_exceeded` …
 */
export async function upload(
  http: Http,
  roomId: string,
  file: Blob,
  options: UploadOptions = {},
): Promise<Attachment> {
  const path = `/rooms/${roomId}/attachments`;
  const name = options.fileName ?? (file as Partial<File>).name ?? 'file';
  const target = options.direct === false ? null : await presign(http, path, name, file, options);
  if (target === null) return throughServer(http, path, name, file, options);
  await toStorage(http.base, target.upload, file, options);
  return http.call('POST', `/attachments/${target.attachment.id}/complete`, { signal: options.signal });
}

async function presign(
  http: Http,
  path: string,
  file_name: string,
  file: Blob,
  { signal }: CallOptions,
): Promise<Presigned | null> {
  const body = { file_name, file_type: file.type || 'application/octet-stream', file_size: file.size };
  try {
    return await http.call<Presigned>('POST', `${path}/presign`, { body, signal });
  } catch (error) {
    if (error instanceof ParleyError && NOT_OFFERED.has(error.code)) return null;
    throw error;
  }
}

function throughServer(
  http: Http,
  path: string,
  name: string,
  file: Blob,
  options: UploadOptions,
): Promise<Attachment> {
  return http.authorized(async (token) => {
    const form = new FormData();
    form.append('file', file, name);
    const headers = { authorization: `Bearer ${token}` };
    const target = { method: 'POST', url: `${http.base}${path}`, headers };
    const { status, text } = await sendBytes(target, form, file.size, options);
    return answerOf<Attachment>(status, text, null).data;
  }, options);
}

async function toStorage(
  base: string,
  offer: Presigned['upload'],
  file: Blob,
  options: UploadOptions,
): Promise<void> {
  const parts = 'parts' in offer ? offer.parts : [{ ...offer, size: file.size }];
  let done = 0;
  for (const part of parts) {
    const bytes = file.slice(done, done + part.size, file.type);
    const before = done;
    const onProgress = (sent: number) => options.onProgress?.(before + sent, file.size);
    const { status } = await sendBytes({ ...part, url: new URL(part.url, base).href }, bytes, bytes.size, {
      ...options,
      onProgress,
    });
    if (status >= 300) {
      throw errorOf({ code: 'unavailable', error: `Storage answered ${status}.`, retry: status >= 500 });
    }
    done += bytes.size;
  }
}

interface Sent {
  readonly status: number;
  readonly text: string;
}

/** XMLHttpRequest is the one thing that tells how much of a body has gone. */
function sendBytes(
  target: Target,
  body: Blob | FormData,
  size: number,
  options: UploadOptions,
): Promise<Sent> {
  options.signal?.throwIfAborted();
  options.onProgress?.(0, size);
  return typeof XMLHttpRequest === 'undefined'
    ? sendByFetch(target, body, size, options)
    : sendByXhr(target, body, size, options);
}

async function sendByFetch(
  { method = 'PUT', url, headers = {} }: Target,
  body: Blob | FormData,
  size: number,
  { signal, onProgress }: UploadOptions,
): Promise<Sent> {
  try {
    const response = await fetch(url, { method, headers, body, ...(signal ? { signal } : {}) });
    const text = await response.text();
    onProgress?.(size, size);
    return { status: response.status, text };
  } catch (error) {
    signal?.throwIfAborted();
    throw localError('disconnected', String(error));
  }
}

function sendByXhr(
  { method = 'PUT', url, headers = {} }: Target,
  body: Blob | FormData,
  size: number,
  { signal, onProgress }: UploadOptions,
): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => {
      request.abort();
      reject(signal?.reason);
    };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    // A form's bytes count its own borders too.
    request.upload.onprogress = ({ loaded }) => onProgress?.(Math.min(loaded, size), size);
    request.onload = () => resolve({ status: request.status, text: request.responseText });
    request.onerror = () => reject(localError('disconnected', 'The upload broke off.'));
    request.onloadend = () => signal?.removeEventListener('abort', abort);
    signal?.addEventListener('abort', abort);
    request.send(body);
  });
}
