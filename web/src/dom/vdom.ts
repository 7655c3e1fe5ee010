/**
 * The page as a function of the state: `h` describes elements, `patch` makes the document match. Text becomes text
 * nodes and nothing here parses HTML, so what people write can't become markup.
 */
type Key = string | number;
export type Child = VNode | string | number | null | undefined | false | readonly Child[];
export interface Props {
  readonly key?: Key;
  /** Properties of `element.style`: a style attribute would be against the page's policy. */
  readonly style?: Readonly<Record<string, string>>;
  /** Called once with the new element, when it is in the document. */
  readonly mounted?: (element: never) => void;
  /** Called before the element leaves. */
  readonly gone?: (element: never) => void;
  /**
   * Attributes; `on…` are listeners. `value` is what a field holds, always; `defaultValue` what it begins with, for
   * fields that are read when their form is sent.
   */
  readonly [name: string]: unknown;
}
export interface VNode {
  readonly tag: string;
  readonly props: Props;
  readonly children: readonly (VNode | string)[];
  element?: HTMLElement;
}
type Item = { readonly vnode: VNode | string; readonly node: ChildNode };

const PROPERTIES = new Set(['value', 'defaultValue', 'disabled']);
const items = new WeakMap<Node, Item[]>();
let mounts: (() => void)[] = [];

export function h(tag: string, props?: Props | null, ...children: Child[]): VNode {
  return { tag, props: props ?? {}, children: flat(children) };
}

/** Makes `parent` hold `children`. Elements of the same tag and key, or place, are kept, with focus and scroll. */
export function patch(parent: Element, ...children: Child[]): void {
  patchChildren(parent, flat(children));
  const now = mounts;
  mounts = [];
  for (const mounted of now) mounted();
}

/** What is left away keeps its place as an empty text, so that those behind it are recognised. */
function flat(children: readonly Child[]): (VNode | string)[] {
  return children.flatMap((child): (VNode | string)[] => {
    if (Array.isArray(child)) return flat(child as readonly Child[]);
    if (child === null || child === undefined || child === false) return [''];
    return typeof child === 'object' ? [child as VNode] : [String(child)];
  });
}

function patchChildren(parent: Node, next: readonly (VNode | string)[]): void {
  const old = items.get(parent) ?? [];
  const byKey = new Map<Key, Item>();
  const byPlace: Item[] = [];
  for (const item of old) {
    const key = keyOf(item.vnode);
    if (key === undefined) byPlace.push(item);
    else byKey.set(key, item);
  }
  let place = 0;
  const kept = new Set<Item>();
  const matches = next.map((vnode) => {
    const key = keyOf(vnode);
    const item = key === undefined ? byPlace[place++] : byKey.get(key);
    if (item === undefined || kept.has(item) || tagOf(item.vnode) !== tagOf(vnode)) return null;
    kept.add(item);
    return item;
  });
  // First those that go, so that those that stay needn't be moved: moving takes the focus away.
  for (const item of old) if (!kept.has(item)) remove(item);
  let at = parent.firstChild;
  items.set(
    parent,
    next.map((vnode, i) => {
      const match = matches[i] ?? null;
      const node = match === null ? create(vnode) : update(match, vnode);
      if (node === at) at = node.nextSibling;
      else parent.insertBefore(node, at);
      return { vnode, node };
    }),
  );
}

function keyOf(vnode: VNode | string): Key | undefined {
  return typeof vnode === 'string' ? undefined : vnode.props.key;
}

function tagOf(vnode: VNode | string): string {
  return typeof vnode === 'string' ? '' : vnode.tag;
}

function create(vnode: VNode | string): ChildNode {
  if (typeof vnode === 'string') return document.createTextNode(vnode);
  const element = document.createElement(vnode.tag);
  patchChildren(element, vnode.children);
  setProps(element, {}, vnode.props); // after the children: a select's value needs its options
  const { mounted } = vnode.props;
  if (mounted !== undefined) mounts.push(() => mounted(element as never));
  return element;
}

function update({ vnode: old, node }: Item, vnode: VNode | string): ChildNode {
  if (old === vnode) return node;
  if (typeof vnode === 'string') {
    if (node.textContent !== vnode) node.textContent = vnode;
    return node;
  }
  patchChildren(node, vnode.children);
  setProps(node as HTMLElement, (old as VNode).props, vnode.props);
  return node;
}

function remove({ vnode, node }: Item): void {
  leave({ vnode, node });
  node.remove();
}

function leave({ vnode, node }: Item): void {
  if (typeof vnode === 'string') return;
  vnode.props.gone?.(node as never);
  for (const item of items.get(node) ?? []) leave(item);
}

function setProps(element: HTMLElement, old: Props, next: Props): void {
  for (const name of Object.keys(old)) if (!(name in next)) setProp(element, name, undefined);
  for (const [name, value] of Object.entries(next)) {
    if (name === 'style') Object.assign(element.style, value);
    else if (name === 'value') setValue(element as HTMLInputElement, value);
    else if (value !== old[name]) setProp(element, name, value);
  }
}

type Listener = (event: Event) => unknown;

/** What a listener returns is dropped: false would stop what the browser does next. */
function listen(element: HTMLElement, name: string, listener: Listener | null | undefined): void {
  (element as unknown as Record<string, Listener | null>)[name] = listener
    ? (event) => void listener(event)
    : null;
}

/** Compared with what is typed, not with what was drawn last. */
function setValue(element: HTMLInputElement, value: unknown): void {
  if (element.value !== String(value)) element.value = String(value);
}

function setProp(element: HTMLElement, name: string, value: unknown): void {
  if (name === 'key' || name === 'mounted' || name === 'gone' || name === 'style') return;
  if (name.startsWith('on')) listen(element, name, value as Listener | null | undefined);
  else if (PROPERTIES.has(name)) {
    (element as unknown as Record<string, unknown>)[name] = value ?? null;
  } else if (value === undefined || value === null || (value === false && !name.startsWith('aria-'))) {
    element.removeAttribute(name);
  } else element.setAttribute(name, value === true && !name.startsWith('aria-') ? '' : String(value));
}
