import { check } from 'k6';
import http from 'k6/http';
import type { User } from './scene.js';
import { API } from './settings.js';

interface Page {
  readonly data: readonly { readonly seq_no: number }[];
  readonly page: { readonly has_more: boolean; readonly next: string | number | null };
}

const PAGE_SIZE = 50;

function get(user: User, path: string): Page | undefined {
  const response = http.get(`${API}${path}`, {
    headers: { authorization: `Bearer ${user.token}` },
    tags: { kind: 'measured', name: path.split('?')[0]?.replace(/[0-9a-f-]{36}/, ':id') ?? path },
  });
  const isFine = check(response, { 'status is 200': ({ status }) => status === 200 });
  return isFine ? (response.json() as unknown as Page) : undefined;
}

/** Reads a room backwards from the newest message. @param pages at most. */
export function readHistory(user: User, roomId: string, pages: number): void {
  let cursor = '';
  for (let page = 0; page < pages; page += 1) {
    const answer = get(user, `/rooms/${roomId}/messages?limit=${PAGE_SIZE}${cursor}`);
    if (answer === undefined) return;
    const numbers = answer.data.map((message) => message.seq_no);
    check(numbers, {
      'newest first, without a gap': (seqs) =>
        seqs.every((seq, index) => index === 0 || seq === (seqs[index - 1] ?? 0) - 1),
    });
    if (!answer.page.has_more || answer.page.next === null) return;
    cursor = `&before=${answer.page.next}`;
  }
}

/** Lists the user's rooms. */
export function listRooms(user: User): void {
  get(user, '/rooms?limit=50');
}
