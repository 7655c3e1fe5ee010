import { expect, test } from 'vitest';
import { within } from '../helpers/deadline.js';
import { spawnTracked } from '../helpers/server-process.js';

/** As many as two shared cores take beside the other tests; `node dist/bench/faults/storm.js` does it with 10,000. */
const CLIENTS = 1_500;

test(`${CLIENTS} clients whose server was killed are all back at once, with all they had missed`, {
  timeout: 180_000,
}, async () => {
  const storm = spawnTracked(
    process.execPath,
    ['dist/bench/faults/storm.js', '--clients', String(CLIENTS)],
    {},
  );
  const exit = await within(storm.exit, 170_000, 'the end of the storm');
  const lines = storm.lines.filter((line) => /^(first|again):/.test(line));
  expect(lines, storm.lines.join('\n')).toHaveLength(2);
  expect(lines[1]).toContain(`${CLIENTS} joined`);
  expect(exit.code).toBe(0);
});
