/** On a terminal the passing lines overwrite one another; in a log every so many is kept. */
const KEPT_IN_LOG = 5;

let isLineOpen = false;
let passed = 0;

/** Tells a person what goes on, on stderr. @param passing may be overwritten by the next line. */
export function say(text: string, passing = false): void {
  if (!process.stderr.isTTY) {
    if (passing) passed += 1;
    if (!passing || passed % KEPT_IN_LOG === 0) console.error(text);
    return;
  }
  if (isLineOpen) process.stderr.write('\r\u001b[K');
  process.stderr.write(passing ? text : `${text}\n`);
  isLineOpen = passing;
}
