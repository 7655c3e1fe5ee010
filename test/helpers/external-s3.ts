import { randomBytes } from 'node:crypto';
import {
  CreateBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll } from 'vitest';
import type { Config } from '../../src/config.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

/** An S3 server over HTTP, with one bucket. */
export interface S3Server {
  readonly config: Extract<Config['storage'], { type: 's3' }>;
  /** The settings of a server that stores there. */
  readonly env: Readonly<Record<string, string>>;
  /** Keys of objects, and of uploads that aren't finished. */
  readonly left: () => Promise<string[]>;
  /** Keys of uploads in parts that aren't finished, without parts too. */
  readonly begun: () => Promise<string[]>;
  /** Ends it; what it holds stays. */
  readonly stop: () => Promise<void>;
  /** Starts it again at the same address. */
  readonly start: () => Promise<void>;
}

const proxies: TcpProxy[] = [];
afterAll(async () => {
  for (const proxy of proxies) await proxy.close();
});

export function s3Client(config: S3Server['config']): S3Client {
  return new S3Client({
    endpoint: config.endpoint ?? '',
    region: config.region,
    forcePathStyle: config.pathStyle,
    credentials: { accessKeyId: config.accessKey, secretAccessKey: config.secretKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

export async function begunUploads(client: S3Client, bucket: string): Promise<string[]> {
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  return Uploads.map(({ Key }) => Key ?? '');
}

/**
 * A fresh bucket on the S3 server that the environment names, behind a proxy of its own, so that it can be stopped for
 * one test alone. The bucket stays, empty of what the test removes.
 *
 * PARLEY_TEST_S3_ENDPOINT is plain HTTP, as `http://127.0.0.1:9000`; PARLEY_TEST_S3_ACCESS_KEY and
 * PARLEY_TEST_S3_SECRET_KEY may create buckets.
 */
export async function externalS3(endpoint: string): Promise<S3Server> {
  const { hostname, port, protocol } = new URL(endpoint);
  if (protocol !== 'http:') throw new Error('PARLEY_TEST_S3_ENDPOINT: only http:// goes through the proxy');
  const accessKey = process.env.PARLEY_TEST_S3_ACCESS_KEY ?? '';
  const secretKey = process.env.PARLEY_TEST_S3_SECRET_KEY ?? '';
  const bucket = `parley-test-${randomBytes(6).toString('hex')}`;
  const region = process.env.PARLEY_TEST_S3_REGION ?? 'us-east-1';
  const config = { type: 's3', endpoint, accessKey, secretKey, bucket, region, pathStyle: true } as const;
  const client = s3Client(config);
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  const proxy = await startTcpProxy(() => Number(port || 80), hostname);
  proxies.push(proxy);

  async function left(): Promise<string[]> {
    const [objects, uploads] = await Promise.all([
      client.send(new ListObjectsV2Command({ Bucket: bucket })),
      begunUploads(client, bucket),
    ]);
    return [...(objects.Contents ?? []).map(({ Key }) => Key ?? ''), ...uploads];
  }

  return {
    config: { ...config, endpoint: proxy.url },
    env: {
      STORAGE_TYPE: 'minio',
      STORAGE_ENDPOINT: proxy.url,
      STORAGE_ACCESS_KEY: accessKey,
      STORAGE_SECRET_KEY: secretKey,
      STORAGE_BUCKET: bucket,
      STORAGE_REGION: region,
    },
    left,
    begun: () => begunUploads(client, bucket),
    async stop() {
      proxy.refuse(true);
      proxy.cut();
    },
    start: async () => proxy.refuse(false),
  };
}
