import { Histogram, type Registry } from 'prom-client';
import { operationTimes } from '../observability/operation-times.js';
import { threadRegistry } from '../observability/thread-metrics.js';
import type { CallMeter } from '../observability/timed.js';

const STORAGE_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const UPLOAD_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1_800];
const SIZE_BUCKETS = [1_024, 10_240, 102_400, 1_048_576, 10_485_760, 104_857_600, 1_073_741_824];

/** By a form, or to a link of local storage. What clients bring to S3 themselves isn't seen here. */
export type UploadWay = 'form' | 'link';

export interface TransferMetrics {
  readonly registry: Registry;
  /** Times the operations of the storage. */
  readonly stored: CallMeter;
  /** Counts what an upload comes to. @param bytes of what it has stored */
  upload<T>(way: UploadWay, run: Promise<T>, bytes: (stored: T) => number): Promise<T>;
}

export function createTransferMetrics(process: number): TransferMetrics {
  const registry = threadRegistry('transfer');
  registry.setDefaultLabels({ process: String(process), thread: 'transfer' });
  const registers = [registry];
  const stored = operationTimes(registers, {
    name: 'parley_storage_seconds',
    help: 'Operations of the storage of attachments by name and outcome; `put` takes as long as whoever brings the bytes.',
    buckets: STORAGE_BUCKETS,
  });
  const durations = new Histogram({
    name: 'parley_upload_seconds',
    help: 'Uploads through this server, from their head to their answer, by way and outcome.',
    labelNames: ['way', 'outcome'],
    buckets: UPLOAD_BUCKETS,
    registers,
  });
  const sizes = new Histogram({
    name: 'parley_upload_bytes',
    help: 'Bytes of the files that uploads have stored.',
    labelNames: ['way'],
    buckets: SIZE_BUCKETS,
    registers,
  });
  return {
    registry,
    stored,
    async upload(way, run, bytes) {
      const end = durations.startTimer({ way });
      try {
        const stored = await run;
        end({ outcome: 'ok' });
        sizes.observe({ way }, bytes(stored));
        return stored;
      } catch (error) {
        end({ outcome: 'error' });
        throw error;
      }
    },
  };
}
