import { type Dashboard, medianAndTail, quantile, series, sumRate } from './panels.js';

/** What to watch while `npm run bench:load` runs: rates above, what they cost below. */
export const loadBench: Dashboard = {
  name: 'parley-load-bench',
  title: 'Parley: load benches',
  rows: [
    {
      title: 'What goes through',
      panels: [
        {
          title: 'Messages and deliveries',
          shows:
            'Messages committed and frames sent to clients, a second. Compare with the bench’s own figures.',
          red: 'Below the rate that was asked for: the bench names the bottleneck in its last lines.',
          unit: 'ops',
          queries: {
            messages: sumRate('parley_changes_committed_total', null, 'kind="send"'),
            'frames to clients': sumRate('parley_websocket_frames_sent_total'),
          },
        },
        {
          title: 'Acknowledgement',
          shows: 'As the server measures it: without the network and the loader.',
          red: 'Far below the loader’s own figure: the loader is the bottleneck, and the run says nothing.',
          unit: 's',
          queries: medianAndTail('parley_ack_seconds'),
          redAbove: 0.1,
        },
        {
          title: 'Delivery',
          shows: 'As the server measures it, up to the publication.',
          red: 'Look at the stages on "message path". Runbook ParleySlowDelivery.',
          unit: 's',
          queries: medianAndTail('parley_delivery_seconds'),
          redAbove: 0.1,
        },
        {
          title: 'Sockets',
          shows: 'Sockets while the bench opens them.',
          red: 'It stops short of the number asked for: descriptors (ulimit -n) or source addresses are used up.',
          unit: 'short',
          queries: { sockets: `sum(${series('parley_websocket_connections')})` },
        },
      ],
    },
    {
      title: 'What it costs',
      panels: [
        {
          title: 'CPU',
          shows: 'Cores that each process uses.',
          red: 'At the number of cores the machine is full: everything waits for CPU.',
          unit: 'short',
          queries: {
            '{{instance}} process {{process}}': sumRate('process_cpu_seconds_total', 'instance, process'),
          },
        },
        {
          title: 'Threads',
          shows: 'Share of the time that each thread’s event loop was busy.',
          red: 'The thread at 1 is the bottleneck: the front (sockets, frames) or a shard (rooms, SQL). Runbook ParleyThreadFull.',
          unit: 'percentunit',
          queries: {
            '{{instance}} process {{process}} {{thread}}': series('parley_event_loop_utilization_ratio'),
          },
          redAbove: 0.9,
        },
        {
          title: 'Event loop lag, p99',
          shows: 'How late timers fire in each thread.',
          red: 'Something runs long without a pause: take a CPU profile (docs/troubleshooting.md).',
          unit: 's',
          queries: {
            '{{instance}} process {{process}} {{thread}}': series(
              'parley_event_loop_lag_seconds',
              'quantile="p99"',
            ),
          },
          redAbove: 0.1,
        },
        {
          title: 'Garbage collection',
          shows: 'Share of the time that each thread spent collecting.',
          red: 'Above 0.1 memory is made too fast: take an allocation profile.',
          unit: 'percentunit',
          queries: {
            '{{instance}} process {{process}} {{thread}}': sumRate(
              'parley_gc_seconds_sum',
              'instance, process, thread',
            ),
          },
          redAbove: 0.1,
        },
        {
          title: 'Heap',
          shows: 'JavaScript heap in use by each thread.',
          red: 'Growth that no collection takes back. Runbook ParleyMemory.',
          unit: 'bytes',
          queries: { '{{instance}} process {{process}} {{thread}}': series('parley_heap_used_bytes') },
        },
        {
          title: 'Resident memory for each socket',
          shows: 'Resident memory over open sockets; means something with thousands of them.',
          red: 'Grows at a steady number of sockets: slow readers hold buffers, or a leak. Runbook ParleyMemory.',
          unit: 'bytes',
          queries: {
            bytes: `sum(${series('process_resident_memory_bytes')}) / sum(${series('parley_websocket_connections')})`,
          },
        },
        {
          title: 'Batch and commit',
          shows: 'Mean size of a batch, and the statement’s p99.',
          red: 'Batches at 256: PostgreSQL is the bottleneck. Runbook ParleyDatabaseSlow.',
          unit: 'short',
          queries: {
            'batch size': `${sumRate('parley_batch_size_sum')} / ${sumRate('parley_batch_size_count')}`,
            'commit p99, ms': `1000 * ${quantile(0.99, 'parley_message_stage_seconds', { matchers: 'stage="commit"' })}`,
          },
          redAbove: 250,
        },
      ],
    },
  ],
};
