/** Bytes after gzip of a module that exports `names` of the client; `*` is all. */
export function clientSize(names: '*' | readonly string[]): Promise<number>;
