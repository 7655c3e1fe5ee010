import { afterEach, describe, expect, test, vi } from 'vitest';
import { createHttp, IndexedDBStore, type OutboxEntry, upload } from '../../client/src/index.js';
import { must } from '../helpers/deadline.js';

afterEach(() => void vi.unstubAllGlobals());

/** As much of IndexedDB as a store uses: one table, requests that succeed before their transaction is complete. */
function fakeIndexedDB(options: { refuse?: boolean } = {}) {
  const rows = new Map<string, OutboxEntry>();
  const opened: string[] = [];
  const table = {
    put: (entry: OutboxEntry) => void rows.set(entry.id, entry),
    delete: (id: string) => void rows.delete(id),
    getAll: () => ({ result: [...rows.values()] }),
  };
  const database = {
    createObjectStore: () => undefined,
    transaction: () => {
      const transaction = {
        oncomplete: () => undefined,
        onabort: () => undefined,
        error: new DOMException('full', 'QuotaExceededError'),
        objectStore: () => ({
          getAll: table.getAll,
          put: (entry: OutboxEntry) => ({ result: table.put(entry) }),
          delete: (id: string) => ({ result: table.delete(id) }),
        }),
      };
      queueMicrotask(() => (options.refuse ? transaction.onabort() : transaction.oncomplete()));
      return transaction;
    },
  };
  const open = (name: string) => {
    opened.push(name);
    const request = { result: database, onupgradeneeded: () => undefined, onsuccess: () => undefined };
    queueMicrotask(() => {
      request.onupgradeneeded();
      request.onsuccess();
    });
    return request;
  };
  return { indexedDB: { open }, opened };
}

const entry = (id: string): OutboxEntry => ({
  id,
  room_id: 'r',
  body: { content: id },
  position: 1,
  created_at: '',
});

describe('the IndexedDB store', () => {
  test('gives back what was put and not removed, over one connection', async () => {
    const { indexedDB, opened } = fakeIndexedDB();
    vi.stubGlobal('indexedDB', indexedDB);
    const store = new IndexedDBStore('parley-ann');
    await store.put(entry('a'));
    await store.put({ ...entry('a'), position: 2 });
    await store.put(entry('b'));
    await store.remove('b');
    await store.remove('never there');
    expect(await store.load()).toEqual([{ ...entry('a'), position: 2 }]);
    expect(opened).toEqual(['parley-ann']);
  });

  test('a transaction that is aborted rejects', async () => {
    vi.stubGlobal('indexedDB', fakeIndexedDB({ refuse: true }).indexedDB);
    await expect(new IndexedDBStore('x').put(entry('a'))).rejects.toMatchObject({
      name: 'QuotaExceededError',
    });
  });
});

/** An XMLHttpRequest whose progress and end the test decides. */
class FakeXhr {
  static last: FakeXhr | null = null;
  readonly upload: { onprogress: (event: { loaded: number }) => void } = { onprogress: () => undefined };
  readonly headers: Record<string, string> = {};
  status = 0;
  responseText = '';
  aborted = false;
  opened = '';
  onload = () => undefined;
  onerror = () => undefined;
  onloadend = () => undefined;

  constructor() {
    FakeXhr.last = this;
  }
  open(method: string, url: string): void {
    this.opened = `${method} ${url}`;
  }
  setRequestHeader(name: string, value: string): void {
    this.headers[name] = value;
  }
  send(): void {}
  abort(): void {
    this.aborted = true;
  }
}

describe('an upload in a browser', () => {
  const http = createHttp({ url: 'http://x', token: async () => 'token' });
  const start = async (options: Parameters<typeof upload>[3]) => {
    FakeXhr.last = null;
    vi.stubGlobal('XMLHttpRequest', FakeXhr);
    const running = upload(http, 'r', new Blob(['0123456789']), { direct: false, ...options });
    running.catch(() => undefined);
    const xhr = must(await vi.waitUntil(() => FakeXhr.last));
    return { running, xhr };
  };

  test('tells how much has gone', async () => {
    const progress: number[] = [];
    const { running, xhr } = await start({ onProgress: (sent) => void progress.push(sent) });
    for (const loaded of [3, 7, 150]) xhr.upload.onprogress({ loaded }); // the form's borders count too
    Object.assign(xhr, { status: 201, responseText: JSON.stringify({ success: true, data: { id: 'a' } }) });
    xhr.onload();
    expect(await running).toEqual({ id: 'a' });
    expect(progress).toEqual([0, 3, 7, 10]);
    expect([xhr.opened, xhr.headers]).toEqual([
      'POST http://x/api/v1/rooms/r/attachments',
      { authorization: 'Bearer token' },
    ]);
  });

  test('is aborted by its signal, and a broken one may be tried again', async () => {
    const controller = new AbortController();
    const { running, xhr } = await start({ signal: controller.signal });
    controller.abort(new Error('changed my mind'));
    await expect(running).rejects.toThrow('changed my mind');
    expect(xhr.aborted).toBe(true);
    const second = await start({});
    second.xhr.onerror();
    await expect(second.running).rejects.toMatchObject({ code: 'disconnected', retry: true });
  });
});
