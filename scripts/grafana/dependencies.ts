import { type Dashboard, quantile, series, sumRate } from './panels.js';

const QUERIES = 'parley_database_seconds';

/** PostgreSQL and Redis, as the server sees them. */
export const dependencies: Dashboard = {
  name: 'parley-dependencies',
  title: 'Parley: PostgreSQL and Redis',
  rows: [
    {
      title: 'PostgreSQL',
      panels: [
        {
          title: 'Database answers',
          shows: 'Whether the database answers every shard within 2 s.',
          red: 'PostgreSQL is away or stuck, or its connections are used up. Runbook ParleyDatabaseDown.',
          unit: 'short',
          queries: { '{{instance}} process {{process}} shard {{shard}}': series('parley_database_up') },
          redBelow: 1,
        },
        {
          title: 'Operations',
          shows: 'Operations a second by name.',
          red: 'One that rises alone names the route that is called too much.',
          unit: 'ops',
          queries: { '{{operation}}': `topk(10, ${sumRate(`${QUERIES}_count`, 'operation')})` },
        },
        {
          title: 'Slowest operations, p99',
          shows: 'Waiting for a connection included.',
          red: 'All of them: PostgreSQL’s disk or CPU, or locks. One: its plan (EXPLAIN). Runbook ParleyDatabaseSlow.',
          unit: 's',
          queries: { '{{operation}}': `topk(10, ${quantile(0.99, QUERIES, { by: 'operation' })})` },
          redAbove: 0.1,
        },
        {
          title: 'Failed operations',
          shows:
            'Operations a second that ended in an error. Some errors are answers: a name that is taken, say.',
          red: 'Find `database_unavailable` or `shard_error` in the log. Runbook ParleyDatabaseDown.',
          unit: 'ops',
          queries: {
            failed: `${sumRate(`${QUERIES}_count`)} - ${sumRate(`${QUERIES}_count`, null, 'outcome="ok"')}`,
          },
          redAbove: 1,
        },
        {
          title: 'Use of the connection pools',
          shows: 'Operations under way for each connection that a shard may open. Above 1 they queue.',
          red: 'Raise DB_POOL_SIZE if PostgreSQL has CPU left, else it would only queue there. Runbook ParleyDatabasePool.',
          unit: 'percentunit',
          queries: {
            '{{instance}} process {{process}} {{thread}}': `${series('parley_database_operations_underway')} / ${series('parley_database_pool_size')}`,
          },
          redAbove: 4,
        },
        {
          title: 'Messages to index',
          shows:
            'Messages whose words aren’t in the index of searches yet: they are written beside the messages’ commits, and searches read these messages one by one until then.',
          red: 'Searches of busy rooms give short pages. It shrinks by itself once fewer messages come; if it doesn’t, PostgreSQL has no CPU left.',
          unit: 'short',
          queries: { '{{instance}} process {{process}} {{thread}}': series('parley_search_words_waiting') },
          redAbove: 100_000,
        },
        {
          title: 'Cache hits',
          shows: 'Lookups of members’ standings that needed no database.',
          red: 'Below 0.8 the working set has outgrown the cache, or a shard has just started.',
          unit: 'percentunit',
          queries: {
            '{{cache}}': `${sumRate('parley_cache_lookups_total', 'cache', 'cache="standings",result="hit"')} / ${sumRate('parley_cache_lookups_total', 'cache', 'cache="standings"')}`,
          },
          redBelow: 0.8,
        },
        {
          title: 'Lookups by cache',
          shows:
            'Lookups a second. Ids of recent messages are found when a client repeats a send, ended sessions when a token of one comes: there misses are the rule. `access_tokens` is hit by whoever asks again over REST.',
          red: 'Many hits of `recent_ids`: clients repeat what was answered; see "Acknowledgement". Of `ended_sessions`: clients go on after a log-out.',
          unit: 'ops',
          queries: { '{{cache}} {{result}}': sumRate('parley_cache_lookups_total', 'cache, result') },
        },
        {
          title: 'Entries by cache',
          shows: 'What the caches hold. Their bounds: docs/limits.md.',
          red: 'At its bound a cache forgets what was used least lately: for `standings` see "Cache hits". `access_tokens` is there on any busy server.',
          unit: 'short',
          queries: { '{{cache}}': `sum by (cache) (${series('parley_cache_entries')})` },
        },
      ],
    },
    {
      title: 'Redis, or what joins the processes of one node',
      panels: [
        {
          title: 'Bus healthy',
          shows: 'Whether entries pass between nodes.',
          red: 'Redis is away: events of other nodes are read from the log, up to 2 s late. Nothing is lost. Runbook ParleyBusDown.',
          unit: 'short',
          queries: { '{{instance}} process {{process}} {{thread}}': series('parley_bus_healthy') },
          redBelow: 1,
        },
        {
          title: 'Lag',
          shows: 'How long the last entry of another node took.',
          red: 'Redis or a reading shard is busy, or the machines’ clocks differ. Runbook ParleyBusLag.',
          unit: 's',
          queries: { '{{instance}} process {{process}} {{thread}}': series('parley_bus_lag_seconds') },
          redAbove: 0.5,
        },
        {
          title: 'Entries',
          shows: 'Entries and signals sent to and received from other nodes, a second.',
          red: 'Sent without received: nodes with different REDIS_URL or REDIS_DB don’t hear each other.',
          unit: 'ops',
          queries: {
            sent: sumRate('parley_bus_published_total'),
            received: sumRate('parley_bus_received_total'),
          },
        },
        {
          title: 'Entries lost',
          shows: 'Entries that could not be sent, or never came, a second. The log has them all.',
          red: 'Redis is too slow or its memory is full (a stream was trimmed or evicted). Runbook ParleyBusLosesEntries.',
          unit: 'ops',
          queries: {
            'not sent': sumRate('parley_bus_dropped_total'),
            'never came': sumRate('parley_bus_missed_total'),
          },
          redAbove: 1,
        },
        {
          title: 'Connections made anew',
          shows:
            'Connections to the bus that were made again, and those given up for silence, in 15 minutes.',
          red: 'The network to Redis, or a Redis that restarts. Runbook ParleyBusDown.',
          unit: 'short',
          queries: {
            'made again': `sum(increase(${series('parley_bus_reconnects_total')}[15m]))`,
            'given up': `sum(increase(${series('parley_bus_watchdog_trips_total')}[15m]))`,
          },
          redAbove: 5,
        },
      ],
    },
  ],
};
