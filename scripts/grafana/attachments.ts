import { type Dashboard, medianAndTail, quantile, series, sumRate } from './panels.js';

const ROUTES = 'route=~".*attachment.*"';

/** Uploads and downloads, and the storage behind them. */
export const attachments: Dashboard = {
  name: 'parley-attachments',
  title: 'Parley: attachments',
  rows: [
    {
      title: 'Storage and transfers',
      panels: [
        {
          title: 'Storage answers',
          shows: 'Whether the storage (S3 or the directory) answers each process.',
          red: 'Uploads and downloads fail, messages don’t. Runbook ParleyStorageDown.',
          unit: 'short',
          queries: { '{{instance}} process {{process}}': series('parley_storage_up') },
          redBelow: 1,
        },
        {
          title: 'Transfers under way',
          shows: 'Uploads, downloads and requests about attachments. At 2,048 the answer is `overloaded`.',
          red: 'The storage is slow, or many slow clients upload at once; let them upload to S3 directly (presign).',
          unit: 'short',
          queries: { '{{instance}} process {{process}}': series('parley_transfers_underway') },
          redAbove: 1_500,
        },
        {
          title: 'Bytes through the server',
          shows: 'Bytes a second from and to clients. What goes to S3 directly isn’t in it.',
          red: 'Near the network’s limit messages suffer too: let clients upload to S3 directly (presign).',
          unit: 'bytes',
          queries: { '{{direction}}': sumRate('parley_transfer_bytes_total', 'direction') },
        },
        {
          title: 'Requests about attachments, p99',
          shows: 'By route. An upload takes as long as its client does.',
          red: 'All but uploads slow: the storage or PostgreSQL. Runbook ParleyStorageDown.',
          unit: 's',
          queries: {
            '{{route}}': quantile(0.99, 'parley_http_request_seconds', { by: 'route', matchers: ROUTES }),
          },
        },
        {
          title: 'Storage operations, p99',
          shows: 'By name. `put` takes as long as whoever brings the bytes, `check` is the health check.',
          red: '`check` and `head` slow: the storage itself, or the way to it. Runbook ParleyStorageDown.',
          unit: 's',
          queries: { '{{operation}}': quantile(0.99, 'parley_storage_seconds', { by: 'operation' }) },
          redAbove: 2.5,
        },
        {
          title: 'Storage operations by outcome',
          shows: 'Operations a second. An object that isn’t there is an error too.',
          red: 'Errors alone: find `storage_unavailable` in the log. Runbook ParleyStorageDown.',
          unit: 'ops',
          queries: { '{{outcome}}': sumRate('parley_storage_seconds_count', 'outcome') },
        },
        {
          title: 'Uploads',
          shows:
            'Uploads a second through the server, by way and outcome: `form`, or `link` of local storage.',
          red: '`error` near `ok`: see "REST answers by code" for the codes of `upload_attachment`.',
          unit: 'ops',
          queries: { '{{way}} {{outcome}}': sumRate('parley_upload_seconds_count', 'way, outcome') },
        },
        {
          title: 'Duration of uploads',
          shows: 'From an upload’s head to its answer; it takes as long as its client does.',
          red: 'With steady sizes: the storage, or the network in. Runbook ParleyStorageDown.',
          unit: 's',
          queries: medianAndTail('parley_upload_seconds'),
        },
        {
          title: 'Size of uploads',
          shows: 'Bytes of the files that were stored.',
          red: 'Large ones had better go to S3 directly (presign).',
          unit: 'bytes',
          queries: medianAndTail('parley_upload_bytes'),
        },
        {
          title: 'Transfer threads started again',
          shows: 'Threads that crashed and were started again, in 15 minutes.',
          red: 'Find `transfer_crashed` in the log: it has the error.',
          unit: 'short',
          queries: { restarts: `sum(increase(${series('parley_transfer_restarts_total')}[15m]))` },
          redAbove: 1,
        },
      ],
    },
  ],
};
