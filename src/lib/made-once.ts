/** What `make` makes of a key, made when it is first asked for. For keys that the code itself names: nothing is forgotten. */
export function madeOnce<Key, Made extends object>(make: (key: Key) => Made): (key: Key) => Made {
  const made = new Map<Key, Made>();
  return (key) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const one = make(key);
    made.set(key, one);
    return one;
  };
}
