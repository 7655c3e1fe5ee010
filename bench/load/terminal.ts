import { drawProgress, type ProgressBar } from './progress.js';

/** In a log one of so many passing lines is kept. */
const KEPT_IN_LOG = 5;

/** Of a terminal that doesn't tell its width. */
const COMMON_COLUMNS = 80;

let isLineOpen = false;
let passed = 0;

/**
 * Tells a person what goes on, on stderr.
 * @param bar the line only passes: on a terminal the bar is drawn in its place, which the next line overwrites.
 */
export function say(text: string, bar?: ProgressBar): void {
  if (!process.stderr.isTTY) {
    if (bar !== undefined) passed += 1;
    if (bar === undefined || passed % KEPT_IN_LOG === 0) console.error(text);
    return;
  }
  if (isLineOpen) process.stderr.write('\r\u001b[K');
  isLineOpen = bar !== undefined;
  process.stderr.write(
    bar === undefined ? `${text}\n` : drawProgress(bar, process.stderr.columns || COMMON_COLUMNS),
  );
}
