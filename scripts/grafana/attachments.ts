import { type Dashboard, quantile, series, sumRate } from './panels.js';

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
