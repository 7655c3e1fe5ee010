/** What `make` makes of a key, made when it is first asked for. For keys that the code itself names: nothing is forgotten. */
export function madeOnce<Key, Made>(make: (key: Key) => Made): (key: Key) => Made {
  const made = new Map<Key, { readonly it: Made }>();
  return (key) => {
    let one = made.get(key);
    if (one === undefined) {
      one = { it: make(key) };
      made.set(key, one);
    }
    return one.it;
  };
}
