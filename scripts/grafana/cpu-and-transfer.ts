import { type Dashboard, quantile, series, sumRate } from './panels.js';

/** The threads beside front and shards: what they do is slow by nature, and others must not wait for it. */
const ASIDE = 'thread=~"cpu-.*|transfer"';

export const cpuAndTransfer: Dashboard['rows'][number] = {
  title: 'CPU pool and transfers',
  panels: [
    {
      title: 'CPU pool: tasks waiting',
      shows: 'Password hashes and thumbnails that wait for a thread. At 64 the next are `overloaded`.',
      red: 'A burst of log-ins passes by itself. One that stays: see "Limits hit" for `auth`, then more cores, another node, or cheaper hashes (PASSWORD_HASH_MEMORY_KIB). Runbook ParleyLoginsRefused.',
      unit: 'short',
      queries: { '{{instance}} process {{process}}': series('parley_cpu_tasks_waiting') },
      redAbove: 32,
    },
    {
      title: 'CPU pool: duration of tasks, p99',
      shows: 'From asking to the result, the wait for a thread included.',
      red: 'With tasks waiting: too many of them. Without: the machine has too little CPU, as the pool comes last (docs/sizing.md).',
      unit: 's',
      queries: { '{{task}}': quantile(0.99, 'parley_cpu_task_seconds', { by: 'task' }) },
      redAbove: 1,
    },
    {
      title: 'CPU pool: tasks by outcome',
      shows: 'Tasks a second. A thumbnail of what is no picture is an `error` too.',
      red: '`overloaded`: log-ins are refused, see "tasks waiting". `error` of a hash: find `cpu_pool_error` in the log.',
      unit: 'ops',
      queries: { '{{task}} {{outcome}}': sumRate('parley_cpu_task_seconds_count', 'task, outcome') },
    },
    {
      title: 'CPU pool: threads',
      shows: 'Threads of the pool, at most four. One without work for a minute goes, but for one.',
      red: 'At 0 for long nobody can log in: find `cpu_pool_error` in the log, then restart the node (SIGTERM: it drains).',
      unit: 'short',
      queries: { '{{instance}} process {{process}}': series('parley_cpu_threads') },
      redBelow: 1,
    },
    {
      title: 'CPU pool and transfer: busy threads',
      shows: 'Share of the time that each thread was busy.',
      red: 'CPU pool: log-ins wait, see "tasks waiting". Transfer: let clients upload to S3 directly (presign), or add processes. Runbook ParleyThreadFull.',
      unit: 'percentunit',
      queries: {
        '{{instance}} process {{process}} {{thread}}': series('parley_event_loop_utilization_ratio', ASIDE),
      },
      redAbove: 0.9,
    },
    {
      title: 'CPU pool and transfer: event loop lag, p99',
      shows: 'How late timers fire. In the CPU pool about as late as one hash takes.',
      red: 'CPU pool: hashes are too dear (PASSWORD_HASH_MEMORY_KIB), or the machine has too little CPU. Transfer: as for any thread, see "Event loop lag".',
      unit: 's',
      queries: {
        '{{instance}} process {{process}} {{thread}}': series(
          'parley_event_loop_lag_seconds',
          `quantile="p99",${ASIDE}`,
        ),
      },
      redAbove: 0.5,
    },
    {
      title: 'CPU pool and transfer: heap',
      shows:
        'JavaScript heap in use by each thread. A hash’s memory (19 MiB) and a picture’s are outside of it.',
      red: 'Growth that no collection takes back is a leak. Runbook ParleyMemory.',
      unit: 'bytes',
      queries: {
        '{{instance}} process {{process}} {{thread}}': series('parley_heap_used_bytes', ASIDE),
      },
    },
    {
      title: 'Transfers under way',
      shows: 'Uploads, downloads and requests about attachments. At 2,048 the answer is `overloaded`.',
      red: 'The storage is slow, or many slow clients upload at once; let them upload to S3 directly (presign). See the dashboard of attachments.',
      unit: 'short',
      queries: { '{{instance}} process {{process}}': series('parley_transfers_underway') },
      redAbove: 1_500,
    },
  ],
};
