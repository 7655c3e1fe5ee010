/** The content of a search hit as HTML that is safe to put into a page, whatever the content holds. */
const OPEN = '\u0001';
const CLOSE = '\u0002';

/**
 * Marks parts of a text.
 * @param content what was sent
 * @param marked the same number of characters, with U+0001 before and U+0002 after each part; only where these
 * stand is taken from it, so that nothing in it can become markup
 * @returns the content escaped, its marked parts in `<mark>`; without any mark where the two don't fit together
 */
export function highlight(content: string, marked: string): string {
  const parts = marked.split(new RegExp(`([${OPEN}${CLOSE}])`));
  let html = '';
  let at = 0;
  let inside = false;
  for (const part of parts) {
    if (part === OPEN || part === CLOSE) {
      if ((part === OPEN) === inside) return escapeHtml(content);
      inside = part === OPEN;
      html += inside ? '<mark>' : '</mark>';
    } else {
      html += escapeHtml(content.slice(at, at + part.length));
      at += part.length;
    }
  }
  return inside || at !== content.length ? escapeHtml(content) : html;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as HTML, fit for an element's content and for an attribute in quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
