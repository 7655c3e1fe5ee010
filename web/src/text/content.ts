import { type Child, h } from '../dom/vdom.js';

const LINK = /\bhttps?:\/\/[^\s<>"'`{}|\\^]+/gi;
const MENTION = /(^|[^A-Za-z0-9_@-])@([A-Za-z0-9_-]{3,50})/g;
const TRAILING = /[.,:;!?)\]]+$/; // of the sentence, not of the link

/** A message's text: links to http and https, and mentions of those whom `isKnown` knows, in lower case. */
export function contentOf(text: string, isKnown: (name: string) => boolean, ownName: string): Child[] {
  return splitBy(text, LINK, (match) => {
    const address = match[0].replace(TRAILING, '');
    return [link(address), match[0].slice(address.length)];
  }).flatMap((part) => (typeof part === 'string' ? mentionsOf(part, isKnown, ownName) : [part]));
}

function link(address: string): Child {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return address;
  return h('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer nofollow' }, address);
}

function mentionsOf(text: string, isKnown: (name: string) => boolean, ownName: string): Child[] {
  return splitBy(text, MENTION, ([whole, before = '', name = '']) => {
    const lower = name.toLowerCase();
    if (!isKnown(lower)) return [whole];
    return [before, h('span', { class: lower === ownName ? 'mention own' : 'mention' }, `@${name}`)];
  });
}

function splitBy(text: string, pattern: RegExp, replace: (match: RegExpMatchArray) => Child[]): Child[] {
  const parts: Child[] = [];
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    parts.push(text.slice(at, match.index), ...replace(match));
    at = match.index + match[0].length;
  }
  return [...parts, text.slice(at)];
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
};

/** A search hit's `highlight`: escaped text with `<mark>`, taken apart without ever being HTML here. */
export function highlightOf(highlight: string): Child[] {
  let marked = false;
  return highlight.split(/(<\/?mark>)/).flatMap((part): Child[] => {
    if (part === '<mark>' || part === '</mark>') {
      marked = part === '<mark>';
      return [];
    }
    const text = part.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity] ?? entity);
    return text === '' ? [] : [marked ? h('mark', null, text) : text];
  });
}
