import { type Dashboard, series, sumRate } from './panels.js';

/** Who is connected, to what, and how connections end. */
export const roomsAndSockets: Dashboard = {
  name: 'parley-rooms-and-sockets',
  title: 'Parley: rooms and sockets',
  rows: [
    {
      title: 'Sockets',
      panels: [
        {
          title: 'Open sockets by process',
          shows: 'The kernel deals new connections out over the processes of a port.',
          red: 'One process far below the others has just restarted: see "Shards and processes started again".',
          unit: 'short',
          queries: {
            '{{instance}} process {{process}}': `sum by (instance, process) (${series('parley_websocket_connections')})`,
          },
        },
        {
          title: 'Opens',
          shows: 'WebSockets opened a second.',
          red: 'Clients reconnect in a storm: a restart, the proxy’s time-out, or a client without back-off. Runbook ParleyReconnectStorm.',
          unit: 'ops',
          queries: { opens: sumRate('parley_websocket_opens_total') },
          redAbove: 200,
        },
        {
          title: 'Closes by code',
          shows:
            '1000, 1001: clients leave. 1006: connections break. 1012: restarts. 4008: floods. 4009: slow readers. 4010: ended sessions.',
          red: '1006 every 60 s is a proxy that drops idle connections (docs/troubleshooting.md). 4009: runbook ParleySlowReaders.',
          unit: 'ops',
          queries: { '{{code}}': sumRate('parley_websocket_closes_total', 'code') },
        },
        {
          title: 'Frames that could not be read',
          shows: 'Malformed frames a second; the fifth in 10 s closes a socket with 4002.',
          red: 'A client of another version, or somebody who tries things out: see the addresses in the proxy’s log.',
          unit: 'ops',
          queries: { 'bad frames': sumRate('parley_websocket_bad_frames_total') },
          redAbove: 5,
        },
      ],
    },
    {
      title: 'Readers',
      panels: [
        {
          title: 'Slow readers',
          shows:
            'Sockets that missed events and haven’t drained yet. Those that never do are closed with 4009.',
          red: 'Many at once: the network out is full, or rooms are too loud for their readers. Runbook ParleySlowReaders.',
          unit: 'short',
          queries: {
            '{{instance}} process {{process}}': `sum by (instance, process) (${series('parley_slow_readers')})`,
          },
          redAbove: 50,
        },
        {
          title: 'Resyncs',
          shows: 'Sockets a second that were told that they missed events; they then `sync`.',
          red: 'As for slow readers. Runbook ParleySlowReaders.',
          unit: 'ops',
          queries: { resyncs: sumRate('parley_resyncs_total') },
          redAbove: 5,
        },
        {
          title: 'Drops',
          shows:
            'Times a second that a socket’s full buffer swallowed events; a resync follows when it has drained.',
          red: 'As for slow readers; a rise without resyncs are sockets that never drain. Runbook ParleySlowReaders.',
          unit: 'ops',
          queries: { drops: sumRate('parley_websocket_drops_total') },
          redAbove: 50,
        },
        {
          title: 'Joins and resumes',
          shows:
            'Rooms joined afresh, rooms resumed from a rev, and messages replayed by resumes and syncs, a second.',
          red: 'A storm of resumes follows a restart and ends by itself. Runbook ParleyReconnectStorm.',
          unit: 'ops',
          queries: {
            joined: sumRate('parley_rooms_joined_total'),
            resumed: sumRate('parley_rooms_resumed_total'),
            'messages replayed': sumRate('parley_messages_replayed_total'),
          },
        },
      ],
    },
    {
      title: 'Rooms and people',
      panels: [
        {
          title: 'Rooms with sockets',
          shows: 'Topics that sockets have joined, and rooms whose log shards follow.',
          red: 'Tracked rooms far above topics, and growing, would be a leak: take a heap profile (docs/troubleshooting.md).',
          unit: 'short',
          queries: {
            topics: `sum(${series('parley_topics')})`,
            tracked: `sum(${series('parley_tracked_rooms')})`,
          },
        },
        {
          title: 'Users present',
          shows: 'Users shown as online or away, by process.',
          red: 'Zero with open sockets: sockets aren’t authenticated; see closes with 4003 and 4004.',
          unit: 'short',
          queries: {
            '{{instance}} process {{process}}': `sum by (instance, process) (${series('parley_users_present')})`,
          },
        },
        {
          title: 'Shards and processes started again',
          shows:
            'Shards that crashed and were started again, and starts of processes, in the last 15 minutes.',
          red: 'Find `shard_crashed` or `process_died` in the log. Runbook ParleyShardCrashes.',
          unit: 'short',
          queries: {
            shards: `sum(increase(${series('parley_shard_restarts_total')}[15m]))`,
            processes: `sum(changes(${series('parley_process_start_seconds')}[15m]))`,
          },
          redAbove: 1,
        },
      ],
    },
  ],
};
