import { describe, expect, test } from 'vitest';
import { pythonWithWebsockets } from '../helpers/python.js';
import { spawnTracked, startServerWithDatabase } from '../helpers/server-process.js';

describe.skipIf(pythonWithWebsockets === null)(
  'examples/client.py (skipped where Python lacks the module websockets)',
  () => {
    test('speaks the protocol without a client library', async () => {
      const { url } = await startServerWithDatabase();
      const run = spawnTracked(pythonWithWebsockets ?? '', ['examples/client.py', url], {});
      expect(await run.exit, run.lines.join('\n')).toEqual({ code: 0, signal: null });
      expect(run.lines).toEqual([
        'joined at rev 0',
        'rev 1 one',
        'rev 2 two',
        'rev 3 three',
        'again: number 3 as before',
        'history: one, two, three',
      ]);
    });
  },
);
