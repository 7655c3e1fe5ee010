import { cpuAndTransfer } from './cpu-and-transfer.js';
import { type Dashboard, medianAndTail, quantile, series, sumRate } from './panels.js';
import { DELIVERY_GOAL, HTTP_GOAL, OWN_FAULTS } from './rules.js';

/** The first page: is it well, how much goes through it, how fast, and how full is it? */
export const overview: Dashboard = {
  name: 'parley-overview',
  title: 'Parley: overview',
  rows: [
    {
      title: 'Promises',
      panels: [
        {
          title: 'Processes ready',
          shows: 'Share of the processes that take connections.',
          red: 'Some start, drain or are gone: see the log events `process_died` and `draining`, and the runbook ParleyDown.',
          unit: 'percentunit',
          queries: { ready: `sum(${series('parley_ready')}) / count(${series('parley_ready')})` },
          redBelow: 1,
          stat: true,
        },
        {
          title: 'REST answered, last hour',
          shows: `Share of REST requests that the server did not fail itself (codes internal, overloaded, unavailable). The goal is ${HTTP_GOAL}.`,
          red: 'See the errors below for the code: `unavailable` means the database or a shard, `overloaded` means a full queue. Runbook ParleyErrorBudgetBurn.',
          unit: 'percentunit',
          queries: { answered: '1 - parley:http_failed:ratio_rate1h' },
          redBelow: HTTP_GOAL,
          stat: true,
        },
        {
          title: 'Delivered within 100 ms, last hour',
          shows: `Share of messages published within 100 ms of entering a batch. The goal is ${DELIVERY_GOAL}.`,
          red: 'Open the dashboard "message path" and see which stage has grown. Runbook ParleySlowDelivery.',
          unit: 'percentunit',
          queries: { delivered: 'parley:delivery_fast:ratio_rate1h' },
          redBelow: DELIVERY_GOAL,
          stat: true,
        },
        {
          title: 'Budget burn',
          shows:
            'How many times faster than the goal allows REST requests fail; 1 spends a month’s budget in a month.',
          red: 'Above 14 the budget of a month is gone in two days: treat it as an outage. Runbook ParleyErrorBudgetBurn.',
          unit: 'short',
          queries: {
            '5 min': `parley:http_failed:ratio_rate5m / ${(1 - HTTP_GOAL).toFixed(4)}`,
            '1 h': `parley:http_failed:ratio_rate1h / ${(1 - HTTP_GOAL).toFixed(4)}`,
            '6 h': `parley:http_failed:ratio_rate6h / ${(1 - HTTP_GOAL).toFixed(4)}`,
          },
          redAbove: 14.4,
        },
      ],
    },
    {
      title: 'Traffic',
      panels: [
        {
          title: 'Open sockets',
          shows: 'WebSockets by encoding.',
          red: 'A fall of all at once is a restart or the proxy; see "Closes by code" on rooms and sockets. Runbook ParleyReconnectStorm.',
          unit: 'short',
          queries: { '{{encoding}}': `sum by (encoding) (${series('parley_websocket_connections')})` },
        },
        {
          title: 'Messages and changes committed',
          shows: 'Changes of the log a second by kind; `send` are messages.',
          red: 'At zero under traffic nothing is committed: look at "Database answers". Runbook ParleyDatabaseDown.',
          unit: 'ops',
          queries: { '{{kind}}': sumRate('parley_changes_committed_total', 'kind') },
        },
        {
          title: 'Requests and frames',
          shows: 'REST requests, and WebSocket frames in both directions, a second.',
          red: 'A sudden rise of frames received without one of messages is a client in a loop: see "Limits hit".',
          unit: 'reqps',
          queries: {
            REST: sumRate('parley_http_request_seconds_count'),
            'frames in': sumRate('parley_websocket_frames_received_total'),
            'frames out': sumRate('parley_websocket_frames_sent_total'),
          },
        },
      ],
    },
    {
      title: 'Errors',
      panels: [
        {
          title: 'REST answers by code',
          shows: 'REST answers a second other than `ok`, by error code, and all of them.',
          red: '`internal` is a fault of the server: find its log line by request_id. `unavailable`: database or shard. Runbook ParleyErrorBudgetBurn.',
          unit: 'reqps',
          queries: { '{{code}}': sumRate('parley_http_request_seconds_count', 'code') },
        },
        {
          title: 'WebSocket errors by code',
          shows: 'Frames a second that were answered with an error.',
          red: '`unavailable` and `overloaded` say that sends fail. Runbook ParleySendsFail.',
          unit: 'ops',
          queries: { '{{code}}': sumRate('parley_websocket_errors_total', 'code') },
        },
      ],
    },
    {
      title: 'Latency',
      panels: [
        {
          title: 'Acknowledgement',
          shows: 'From a send’s frame to its acknowledgement, the commit included.',
          red: 'The database or a full thread: see the stages on the dashboard "message path". Runbook ParleySlowAcks.',
          unit: 's',
          queries: medianAndTail('parley_ack_seconds'),
          redAbove: 0.1,
        },
        {
          title: 'Delivery',
          shows: 'From a message’s entering a batch on any node to its publication on this one.',
          red: 'Where acknowledgements are fast and this is slow, entries of other nodes come late: see the bus. Runbook ParleySlowDelivery.',
          unit: 's',
          queries: medianAndTail('parley_delivery_seconds'),
          redAbove: 0.1,
        },
        {
          title: 'REST',
          shows:
            'REST requests from head to answer, without log-ins and registrations, which hash passwords.',
          red: 'Find the route on the dashboard "PostgreSQL and Redis" by its slow operation. Runbook ParleyDatabaseSlow.',
          unit: 's',
          queries: {
            p50: quantile(0.5, 'parley_http_request_seconds', {
              matchers: 'route!~"login|register|change_password"',
            }),
            p99: quantile(0.99, 'parley_http_request_seconds', {
              matchers: 'route!~"login|register|change_password"',
            }),
          },
          redAbove: 0.2,
        },
      ],
    },
    {
      title: 'REST by route',
      panels: [
        {
          title: 'Slowest routes, p99',
          shows:
            'The ten slowest. Log-ins and registrations hash passwords; uploads take as long as their clients.',
          red: 'One route: its operation on the dashboard "PostgreSQL and Redis". All: "Busiest threads". Runbook ParleyDatabaseSlow.',
          unit: 's',
          queries: {
            '{{route}}': `topk(10, ${quantile(0.99, 'parley_http_request_seconds', { by: 'route' })})`,
          },
        },
        {
          title: 'Routes that fail',
          shows:
            'Requests a second that the server failed itself (internal, overloaded, unavailable): the ten first routes.',
          red: 'One route: find its `http_failed` or `shard_error` in the log. All: the database or a shard. Runbook ParleyErrorBudgetBurn.',
          unit: 'reqps',
          queries: { '{{route}}': `topk(10, ${failuresByRoute()})` },
          redAbove: 1,
        },
        {
          title: 'Requests by route',
          shows: 'REST requests a second: the ten most frequent.',
          red: 'One that rises alone is a client in a loop: see "Limits hit" on the message path.',
          unit: 'reqps',
          queries: { '{{route}}': `topk(10, ${sumRate('parley_http_request_seconds_count', 'route')})` },
        },
      ],
    },
    {
      title: 'Saturation',
      panels: [
        {
          title: 'Busiest threads',
          shows: 'Share of the time that each thread’s event loop was busy. One thread can use one core.',
          red: 'A full shard: more shards. A full front: more processes or nodes (docs/sizing.md). Runbook ParleyThreadFull.',
          unit: 'percentunit',
          queries: {
            '{{instance}} process {{process}} {{thread}}': `max by (instance, process, thread) (${series('parley_event_loop_utilization_ratio')})`,
          },
          redAbove: 0.9,
        },
        {
          title: 'CPU',
          shows: 'Cores that each process uses.',
          red: 'At the number of cores the machine or container is full: everything waits. Another node (docs/sizing.md). Runbook ParleyThreadFull.',
          unit: 'short',
          queries: {
            '{{instance}} process {{process}}': sumRate('process_cpu_seconds_total', 'instance, process'),
          },
        },
        {
          title: 'Event loop lag, p99',
          shows:
            'How late timers fire in each thread but those of the CPU pool, the worst second of fifteen.',
          red: 'Without a full thread: something runs long without a pause, or the machine has too little CPU (docs/troubleshooting.md). Runbook ParleyThreadFull.',
          unit: 's',
          queries: {
            '{{instance}} process {{process}} {{thread}}': series(
              'parley_event_loop_lag_seconds',
              'quantile="p99",thread!~"cpu-.*"', // a hash takes as long as it is made to
            ),
          },
          redAbove: 0.1,
        },
        {
          title: 'Memory',
          shows: 'Resident memory of each process.',
          red: 'Against the limit of the container or machine. Steady growth at steady sockets is a leak. Runbook ParleyMemory.',
          unit: 'bytes',
          queries: {
            '{{instance}} process {{process}}': `sum by (instance, process) (${series('process_resident_memory_bytes')})`,
          },
          redAbove: 1_610_612_736,
        },
        {
          title: 'File descriptors in use',
          shows: 'Share of the descriptors that a process may open; each socket takes one.',
          red: 'At 1 new sockets are refused: raise the limit (ulimit -n) or add processes. Runbook ParleyFileDescriptors.',
          unit: 'percentunit',
          queries: {
            '{{instance}} process {{process}}': `sum by (instance, process) (${series('process_open_fds')}) / sum by (instance, process) (${series('process_max_fds')})`,
          },
          redAbove: 0.8,
        },
      ],
    },
    cpuAndTransfer,
  ],
};

/** By the server's own fault; 0 for a route that has never failed, too. */
function failuresByRoute(): string {
  const all = sumRate('parley_http_request_seconds_count', 'route');
  const own = sumRate('parley_http_request_seconds_count', 'route', OWN_FAULTS);
  return `(${own} or ${all} * 0)`;
}
