import { type Dashboard, medianAndTail, quantile, series, sumRate } from './panels.js';

const STAGES = 'parley_message_stage_seconds';

/** Where a message's time goes, in the order of docs/message-path.md. */
export const messagePath: Dashboard = {
  name: 'parley-message-path',
  title: 'Parley: message path',
  rows: [
    {
      title: 'From the socket to the commit',
      panels: [
        {
          title: 'Stages, median',
          shows:
            '`to_shard`: front to shard. `admit`: may the sender? `wait`: for the batch before. `commit`: the statement. `publish`: back to the front. `deliver`: to the sockets. The last two are of batches.',
          red: '`to_shard` and `publish` grow when the front or the shard is busy, `admit`, `wait` and `commit` when PostgreSQL is, `deliver` with the sockets of a room. Runbook ParleySlowAcks.',
          unit: 's',
          queries: { '{{stage}}': quantile(0.5, STAGES, { by: 'stage' }) },
          redAbove: 0.05,
        },
        {
          title: 'Stages, slowest hundredth',
          shows: 'As the median, for the slowest hundredth.',
          red: 'One stage alone: as for the median. All together: the machine has too little CPU. Runbook ParleySlowAcks.',
          unit: 's',
          queries: { '{{stage}}': quantile(0.99, STAGES, { by: 'stage' }) },
          redAbove: 0.1,
        },
        {
          title: 'Batch size',
          shows: 'Changes committed in one statement. They grow with the load: that is what keeps up.',
          red: 'At 256 batches are full: the database is the limit. Runbook ParleyDatabaseSlow.',
          unit: 'short',
          queries: { ...medianAndTail('parley_batch_size') },
          redAbove: 250,
        },
        {
          title: 'Changes that wait',
          shows: 'Changes that wait for their commit or are in it.',
          red: 'The database doesn’t answer, or not fast enough: after 2 s senders get `unavailable`. Runbook ParleyDatabaseSlow.',
          unit: 'short',
          queries: { '{{instance}} process {{process}} {{thread}}': series('parley_changes_waiting') },
          redAbove: 2_000,
        },
        {
          title: 'Requests under way to shards',
          shows:
            'Requests each shard has yet to answer. At 8,192 its credit is used up, and the front says `overloaded`.',
          red: 'The shard is stuck or its database is. Runbook ParleyBacklog.',
          unit: 'short',
          queries: {
            '{{instance}} process {{process}} shard {{shard}}': series('parley_shard_requests_underway'),
          },
          redAbove: 6_000,
        },
        {
          title: 'Credit used',
          shows: 'Share of the requests that a shard may have under way. At 1 the front says `overloaded`.',
          red: 'The shard is stuck or its database is. Runbook ParleyBacklog.',
          unit: 'percentunit',
          queries: {
            '{{instance}} process {{process}} shard {{shard}}': `${series('parley_shard_requests_underway')} / ${series('parley_shard_credit_window')}`,
          },
          redAbove: 0.75,
        },
      ],
    },
    {
      title: 'From the commit to the members',
      panels: [
        {
          title: 'Acknowledgement and delivery, p99',
          shows: 'The two times that users feel.',
          red: 'Delivery alone: the bus between nodes. Both: the stages above. Runbook ParleySlowDelivery.',
          unit: 's',
          queries: {
            acknowledgement: quantile(0.99, 'parley_ack_seconds'),
            delivery: quantile(0.99, 'parley_delivery_seconds'),
          },
          redAbove: 0.1,
        },
        {
          title: 'Events published',
          shows: 'Events published to topics a second, and the frames that they and answers become.',
          red: 'Frames far above what rooms × members explains: a room with very many members; see docs/sizing.md.',
          unit: 'ops',
          queries: {
            events: sumRate('parley_events_published_total'),
            'frames to clients': sumRate('parley_websocket_frames_sent_total'),
          },
        },
        {
          title: 'Healed gaps',
          shows: 'Events read from the log because nobody told of them, and polls that found such.',
          red: 'The bus loses entries. Clients miss nothing, but get them late. Runbook ParleyBusLosesEntries.',
          unit: 'ops',
          queries: {
            'events filled': sumRate('parley_gaps_filled_total'),
            'found by polls': sumRate('parley_polls_healed_total'),
          },
          redAbove: 10,
        },
      ],
    },
    {
      title: 'Refusals',
      panels: [
        {
          title: 'Limits hit',
          shows: 'Requests and sockets refused by a limit, a second.',
          red: '`credit`: a full shard. `auth`: guessing of passwords. `sends`: a client in a loop. Runbook ParleyLoginsRefused.',
          unit: 'ops',
          queries: { '{{limit}}': sumRate('parley_limits_hit_total', 'limit') },
          redAbove: 10,
        },
        {
          title: 'Sends by outcome',
          shows: 'Messages committed, and frames refused with a code, a second.',
          red: 'Refusals near the commits: most sends fail. Runbook ParleySendsFail.',
          unit: 'ops',
          queries: {
            committed: sumRate('parley_changes_committed_total', null, 'kind="send"'),
            'refused: {{code}}': sumRate('parley_websocket_errors_total', 'code'),
          },
        },
      ],
    },
  ],
};
