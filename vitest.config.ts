import { defineConfig } from 'vitest/config';

/**
 * Every test file gets a process of its own (they start servers, watch sockets and count memory), three at a time: the
 * suite has to run on two cores beside the servers and the PostgreSQL that it starts.
 */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000, // a server's start on a busy machine
    teardownTimeout: 20_000,
  },
});
