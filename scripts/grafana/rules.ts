/** What Prometheus computes beforehand, and when it wakes somebody; `write.ts` turns it into a rule file. */

/** Goals over 30 days; docs/operations.md says why these. */
export const HTTP_GOAL = 0.999;
export const DELIVERY_GOAL = 0.99;

export interface Recording {
  readonly record: string;
  readonly expr: string;
}

/** Holds while `expr` is beyond the threshold. */
export interface Condition {
  readonly expr: string;
  readonly op: '>' | '<' | '==';
  readonly threshold: number;
}

export interface Alert {
  readonly name: string;
  /** `page`: somebody has to act now. `ticket`: on the next working day. */
  readonly severity: 'page' | 'ticket';
  readonly for: string;
  /** All of them must hold. */
  readonly conditions: readonly Condition[];
  /** May name labels as `{{ $labels.instance }}`. */
  readonly summary: string;
}

/** Codes by which the server says that it failed, rather than that the request was wrong. */
export const OWN_FAULTS = 'code=~"internal|overloaded|unavailable"';
const BURN_WINDOWS = ['5m', '30m', '1h', '6h'];

function failedShare(window: string): string {
  const requests = (matchers: string) => `sum(rate(parley_http_request_seconds_count${matchers}[${window}]))`;
  // Of what failed and all: a code that has not come yet has no series, and then nothing has failed.
  return `1 - ${requests(`{${OWN_FAULTS.replace('=~', '!~')}}`)} / ${requests('')}`;
}

export const recordings: readonly Recording[] = [
  ...BURN_WINDOWS.map((window) => ({
    record: `parley:http_failed:ratio_rate${window}`,
    expr: failedShare(window),
  })),
  {
    record: 'parley:delivery_fast:ratio_rate1h',
    expr: 'sum(rate(parley_delivery_seconds_bucket{le="0.1"}[1h])) / sum(rate(parley_delivery_seconds_count[1h]))',
  },
  {
    record: 'parley:delivery_seconds:p99_5m',
    expr: 'histogram_quantile(0.99, sum by (le) (rate(parley_delivery_seconds_bucket[5m])))',
  },
  {
    record: 'parley:ack_seconds:p99_5m',
    expr: 'histogram_quantile(0.99, sum by (le) (rate(parley_ack_seconds_bucket[5m])))',
  },
  {
    record: 'parley:database_seconds:p99_5m',
    expr: 'histogram_quantile(0.99, sum by (le) (rate(parley_database_seconds_bucket[5m])))',
  },
];

/** A window of an hour or more that says it matters, and a short one that says it goes on. */
function burn(factor: number, long: string, short: string): Condition[] {
  const threshold = Number((factor * (1 - HTTP_GOAL)).toFixed(6));
  return [long, short].map((window) => ({
    expr: `parley:http_failed:ratio_rate${window}`,
    op: '>',
    threshold,
  }));
}

const rate5m = (name: string, matchers = '') => `sum(rate(${name}${matchers}[5m]))`;

export const alerts: readonly Alert[] = [
  {
    name: 'ParleyDown',
    severity: 'page',
    for: '1m',
    // Where targets are discovered (a ServiceMonitor), they vanish with their pods: nothing is left to be 0.
    conditions: [{ expr: 'up{job="parley"} or absent(up{job="parley"}) * 0', op: '==', threshold: 0 }],
    summary:
      '{{ if $labels.instance }}{{ $labels.instance }} answers no scrape.{{ else }}Prometheus has no node to scrape.{{ end }}',
  },
  {
    name: 'ParleyErrorBudgetBurn',
    severity: 'page',
    for: '2m',
    conditions: burn(14.4, '1h', '5m'),
    summary: 'REST requests fail so fast that the budget of a month is gone in two days.',
  },
  {
    name: 'ParleyErrorBudgetBurnSlow',
    severity: 'ticket',
    for: '15m',
    conditions: burn(6, '6h', '30m'),
    summary: 'REST requests fail so fast that the budget of a month is gone in five days.',
  },
  {
    name: 'ParleySendsFail',
    severity: 'page',
    for: '1m',
    conditions: [
      {
        expr: `${rate5m('parley_websocket_errors_total', `{${OWN_FAULTS}}`)} / ${rate5m('parley_websocket_frames_received_total')}`,
        op: '>',
        threshold: 0.01,
      },
    ],
    summary: 'More than 1 % of the frames of clients fail by the server’s fault.',
  },
  {
    name: 'ParleySlowDelivery',
    severity: 'page',
    for: '5m',
    conditions: [{ expr: 'parley:delivery_seconds:p99_5m', op: '>', threshold: 0.2 }],
    summary: 'Messages reach their rooms late: p99 {{ $value | humanizeDuration }}.',
  },
  {
    name: 'ParleySlowAcks',
    severity: 'ticket',
    for: '10m',
    conditions: [{ expr: 'parley:ack_seconds:p99_5m', op: '>', threshold: 0.2 }],
    summary: 'Sends are acknowledged late: p99 {{ $value | humanizeDuration }}.',
  },
  {
    name: 'ParleyDatabaseDown',
    severity: 'page',
    for: '15s',
    conditions: [{ expr: 'min by (instance) (parley_database_up)', op: '==', threshold: 0 }],
    summary: 'PostgreSQL doesn’t answer {{ $labels.instance }}.',
  },
  {
    name: 'ParleyDatabaseSlow',
    severity: 'ticket',
    for: '10m',
    conditions: [{ expr: 'parley:database_seconds:p99_5m', op: '>', threshold: 0.25 }],
    summary: 'Operations of the database take long: p99 {{ $value | humanizeDuration }}.',
  },
  {
    name: 'ParleyDatabasePool',
    severity: 'ticket',
    for: '10m',
    conditions: [
      {
        expr: 'max by (instance) (parley_database_operations_underway / parley_database_pool_size)',
        op: '>',
        threshold: 8,
      },
    ],
    summary: 'Operations queue for the connections of {{ $labels.instance }}.',
  },
  {
    name: 'ParleyBusDown',
    severity: 'page',
    for: '1m',
    conditions: [{ expr: 'min by (instance) (parley_bus_healthy)', op: '==', threshold: 0 }],
    summary: 'No entries pass between {{ $labels.instance }} and the other nodes.',
  },
  {
    name: 'ParleyBusLag',
    severity: 'ticket',
    for: '10m',
    conditions: [{ expr: 'max by (instance) (parley_bus_lag_seconds)', op: '>', threshold: 1 }],
    summary: 'Entries of other nodes reach {{ $labels.instance }} late.',
  },
  {
    name: 'ParleyBusLosesEntries',
    severity: 'ticket',
    for: '10m',
    conditions: [
      {
        expr: `${rate5m('parley_bus_dropped_total')} + ${rate5m('parley_bus_missed_total')} + ${rate5m('parley_polls_healed_total')}`,
        op: '>',
        threshold: 1,
      },
    ],
    summary: 'Entries between nodes are lost, and read from the log instead.',
  },
  {
    name: 'ParleyStorageDown',
    severity: 'page',
    for: '1m',
    conditions: [{ expr: 'min by (instance) (parley_storage_up)', op: '==', threshold: 0 }],
    summary: 'The storage of attachments doesn’t answer {{ $labels.instance }}.',
  },
  {
    name: 'ParleyShardDown',
    severity: 'page',
    for: '15s',
    conditions: [{ expr: 'min by (instance) (parley_shard_up)', op: '==', threshold: 0 }],
    summary: 'A shard of {{ $labels.instance }} doesn’t run: its rooms answer `unavailable`.',
  },
  {
    name: 'ParleyShardCrashes',
    severity: 'ticket',
    for: '0s',
    conditions: [
      { expr: 'sum by (instance) (increase(parley_shard_restarts_total[15m]))', op: '>', threshold: 0.5 },
    ],
    summary: 'A shard of {{ $labels.instance }} crashed and was started again.',
  },
  {
    name: 'ParleyRestarts',
    severity: 'ticket',
    for: '0s',
    conditions: [
      {
        expr: 'sum by (instance) (changes(parley_process_start_seconds[15m]))',
        op: '>',
        threshold: 1,
      },
    ],
    summary: 'Processes of {{ $labels.instance }} start again and again.',
  },
  {
    name: 'ParleyThreadFull',
    severity: 'ticket',
    for: '10m',
    conditions: [
      {
        expr: 'max by (instance, process, thread) (parley_event_loop_utilization_ratio)',
        op: '>',
        threshold: 0.9,
      },
    ],
    summary: '{{ $labels.thread }} of {{ $labels.instance }} is busy all the time.',
  },
  {
    name: 'ParleyBacklog',
    severity: 'page',
    for: '30s',
    conditions: [{ expr: 'max by (instance) (parley_shard_requests_underway)', op: '>', threshold: 6_000 }],
    summary: 'A shard of {{ $labels.instance }} falls behind; at 8,192 requests it refuses.',
  },
  {
    name: 'ParleyReconnectStorm',
    severity: 'ticket',
    for: '2m',
    conditions: [
      { expr: rate5m('parley_websocket_opens_total'), op: '>', threshold: 10 },
      {
        expr: `${rate5m('parley_websocket_opens_total')} / sum(parley_websocket_connections + 1)`,
        op: '>',
        threshold: 0.05,
      },
    ],
    summary: 'Clients open sockets all the time rather than keeping them.',
  },
  {
    name: 'ParleySlowReaders',
    severity: 'ticket',
    for: '5m',
    conditions: [
      {
        expr: 'sum(parley_slow_readers) / sum(parley_websocket_connections + 1)',
        op: '>',
        threshold: 0.05,
      },
    ],
    summary: 'More than 5 % of the sockets read too slowly for their rooms.',
  },
  {
    name: 'ParleyFileDescriptors',
    severity: 'page',
    for: '2m',
    conditions: [
      { expr: 'process_open_fds{job="parley"} / process_max_fds{job="parley"}', op: '>', threshold: 0.85 },
    ],
    summary: 'Process {{ $labels.process }} of {{ $labels.instance }} has hardly any descriptors left.',
  },
  {
    name: 'ParleyMemory',
    severity: 'ticket',
    for: '15m',
    conditions: [{ expr: 'process_resident_memory_bytes{job="parley"}', op: '>', threshold: 1_610_612_736 }],
    summary: 'Process {{ $labels.process }} of {{ $labels.instance }} holds {{ $value | humanize1024 }}B.',
  },
  {
    name: 'ParleyLoginsRefused',
    severity: 'ticket',
    for: '10m',
    conditions: [{ expr: rate5m('parley_limits_hit_total', '{limit="auth"}'), op: '>', threshold: 1 }],
    summary: 'Many log-ins are refused by their limit: somebody may be guessing passwords.',
  },
  {
    name: 'ParleyLogFlood',
    severity: 'ticket',
    for: '5m',
    conditions: [{ expr: rate5m('parley_log_lines_left_out_total'), op: '>', threshold: 1 }],
    summary: 'Equal log lines come so fast that some are left out.',
  },
];

/** `ParleyDatabaseDown` → `parley-database-down`, the name of its page in docs/runbooks. */
export function runbookOf(alert: Pick<Alert, 'name'>): string {
  return alert.name.replace(/(?!^)([A-Z])/g, '-$1').toLowerCase();
}

export function expressionOf({ conditions }: Alert): string {
  return conditions.map(({ expr, op, threshold }) => `(${expr}) ${op} ${threshold}`).join(' and ');
}
