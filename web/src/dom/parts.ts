import { type Child, h, type Props, type VNode } from './vdom.js';

export function button(label: Child, onclick: (event: MouseEvent) => void, props: Props = {}): VNode {
  return h('button', { type: 'button', onclick, ...props }, label);
}

let fieldCount = 0;
const fieldIds = new Map<string, string>();

/** A label and what it names. `name` is that of the form's value. */
export function field(
  label: string,
  name: string,
  props: Props = {},
  tag = 'input',
  ...children: Child[]
): VNode {
  const id = fieldIds.get(name) ?? `field-${++fieldCount}`;
  fieldIds.set(name, id);
  return h(
    'div',
    { class: 'field' },
    h('label', { for: id }, label),
    h(tag, { id, name, ...props }, ...children),
  );
}

/** A form that never navigates; `submit` gets its values by name. */
export function form(
  props: Props,
  submit: (values: Record<string, string>) => void,
  ...children: Child[]
): VNode {
  const onsubmit = (event: SubmitEvent): void => {
    event.preventDefault();
    const entries = [...new FormData(event.target as HTMLFormElement)];
    submit(Object.fromEntries(entries.map(([name, value]) => [name, String(value)])));
  };
  return h('form', { ...props, onsubmit }, ...children);
}

const HUES = 12;

/** Two letters on a colour of their own. Pictures are shown from this server alone: others would learn who reads. */
export function avatar(id: string, name: string, url: string | null = null): VNode {
  const own = url !== null && URL.canParse(url) && new URL(url).origin === location.origin;
  if (own) return h('img', { class: 'avatar', src: url, alt: '' });
  let hue = 0;
  for (const character of id) hue = (hue * 31 + character.charCodeAt(0)) % HUES;
  const letters = [...name].slice(0, 2).join('');
  return h('span', { class: `avatar hue-${hue}`, 'data-letters': letters });
}

export function dot(status: string | undefined): VNode {
  const shown = status ?? 'offline';
  return h('span', { class: `dot ${shown}`, role: 'img', 'aria-label': shown, title: shown });
}

/** Moves the focus between the children of a list by the arrow keys, Home and End. @returns whether the key was one */
export function arrowKeys(event: KeyboardEvent, selector: string): boolean {
  const list = event.currentTarget as HTMLElement;
  const all = [...list.querySelectorAll<HTMLElement>(selector)];
  const at = all.indexOf(document.activeElement as HTMLElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined || all.length === 0) return false;
  event.preventDefault();
  all[(to + all.length) % all.length]?.focus();
  return true;
}
