import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { partSizes } from './local-storage.js';
import { type S3Config, s3Links } from './s3-links.js';
import {
  type DirectPut,
  type LinkSigner,
  ObjectMissing,
  type ObjectStorage,
  PartsMissing,
  StorageUnavailable,
  type StoredKey,
} from './storage-port.js';

const CONNECT_TIMEOUT_MS = 2_000;
const SILENCE_TIMEOUT_MS = 3_500; // twice, with the pause between, is well under ten seconds
const ATTEMPTS = 2;
const OPERATION_TIMEOUT_MS = 9_000; // for what moves no more than a part's bytes
const COPY_TIMEOUT_MS = 60_000; // S3 copies at its own pace, and says nothing meanwhile
/** S3's smallest part: an upload of unknown length holds two of them, and 5 GiB are 1,024 of at most 10,000. */
const PART_BYTES = 5 * 1_024 * 1_024;
const DIRECT_PART_BYTES = 16 * 1_024 * 1_024; // 5 GiB are 320 requests
const PARTS_PAGE = 1_000; // S3's largest answer

/** Attachments in a bucket of an S3 server, which must exist. */
export function s3Storage(config: S3Config): ObjectStorage & LinkSigner {
  const client = openClient(config);
  const Bucket = config.bucket;

  /** Runs one operation against the clock. */
  async function within<T>(
    ms: number,
    run: (options: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    try {
      return await run({ abortSignal: AbortSignal.timeout(ms) });
    } catch (error) {
      throw isMissing(error) ? new ObjectMissing() : new StorageUnavailable(error);
    }
  }

  async function head(key: string): Promise<{ size: number } | null> {
    try {
      const found = await within(OPERATION_TIMEOUT_MS, (options) =>
        client.send(new HeadObjectCommand({ Bucket, Key: key }), options),
      );
      return { size: found.ContentLength ?? 0 };
    } catch (error) {
      if (error instanceof ObjectMissing) return null;
      throw error;
    }
  }

  /** Gives back what unfinished uploads of a key take. */
  async function abortUploads(key: string): Promise<void> {
    const { Uploads = [] } = await within(OPERATION_TIMEOUT_MS, (options) =>
      client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: key }), options),
    );
    for (const { Key, UploadId } of Uploads) {
      if (Key !== key) continue;
      await within(OPERATION_TIMEOUT_MS, (options) =>
        client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }), options),
      ).catch(unlessMissing);
    }
  }

  return {
    async put(key, bytes, type) {
      const failure: { cause: unknown } = { cause: null };
      const counted = { bytes: 0 };
      const Body = Readable.from(counting(bytes, counted, failure), { objectMode: false });
      const params = { Bucket, Key: key, Body, ContentType: type };
      const upload = new Upload({
        client,
        params,
        partSize: PART_BYTES,
        queueSize: 1,
        leavePartsOnError: true,
      });
      try {
        await upload.done();
        return counted.bytes;
      } catch (error) {
        Body.destroy();
        // In the background: storage may be away, and whoever uploads is told at once.
        void abortUploads(key).catch(() => undefined);
        throw failure.cause ?? new StorageUnavailable(error);
      }
    },

    head,

    async get(key, range) {
      const Range = range === undefined ? undefined : `bytes=${range.start}-${range.end}`;
      const { Body } = await within(OPERATION_TIMEOUT_MS, () =>
        client.send(new GetObjectCommand({ Bucket, Key: key, Range })),
      );
      return translated(Body as Readable);
    },

    async move(from, to) {
      const CopySource = `${Bucket}/${from}`;
      // Whether S3 answers at all is known before the long wait, too.
      if ((await head(to)) === null) {
        await within(COPY_TIMEOUT_MS, (options) =>
          client.send(new CopyObjectCommand({ Bucket, Key: to, CopySource }), options),
        ).catch(async (error: unknown) => {
          if (!(error instanceof ObjectMissing) || (await head(to)) === null) throw error; // moved meanwhile
        });
      }
      await within(OPERATION_TIMEOUT_MS, (options) =>
        client.send(new DeleteObjectCommand({ Bucket, Key: from }), options),
      );
    },

    async remove(key) {
      await within(OPERATION_TIMEOUT_MS, (options) =>
        client.send(new DeleteObjectCommand({ Bucket, Key: key }), options),
      ).catch(unlessMissing);
      await abortUploads(key);
    },

    async presignPut(key, size, type, lifeMs) {
      const command = new PutObjectCommand({ Bucket, Key: key, ContentLength: size, ContentType: type });
      return putRequest(await getSignedUrl(client, command, { expiresIn: Math.ceil(lifeMs / 1_000) }), type);
    },

    async presignParts(key, size, type, lifeMs) {
      const { UploadId } = await within(OPERATION_TIMEOUT_MS, (options) =>
        client.send(new CreateMultipartUploadCommand({ Bucket, Key: key, ContentType: type }), options),
      );
      if (UploadId === undefined) throw new StorageUnavailable('an upload without an id');
      const parts = partSizes(size, DIRECT_PART_BYTES).map(async (bytes, i) => {
        const part = { Bucket, Key: key, UploadId, PartNumber: i + 1, ContentLength: bytes };
        const expiresIn = Math.ceil(lifeMs / 1_000);
        const url = await getSignedUrl(client, new UploadPartCommand(part), { expiresIn });
        return { ...putRequest(url, type), part_number: i + 1, size: bytes };
      });
      return { upload_id: UploadId, parts: await Promise.all(parts) };
    },

    async completeParts(key, UploadId, size) {
      try {
        const listed = await within(OPERATION_TIMEOUT_MS, (options) =>
          client.send(new ListPartsCommand({ Bucket, Key: key, UploadId, MaxParts: PARTS_PAGE }), options),
        );
        const Parts = (listed.Parts ?? []).map(({ ETag, PartNumber }) => ({ ETag, PartNumber }));
        if (Parts.length === 0) throw new ObjectMissing();
        const arrived = (listed.Parts ?? []).reduce((sum, { Size = 0 }) => sum + Size, 0);
        if (arrived !== size) throw new PartsMissing();
        await within(COPY_TIMEOUT_MS, (options) =>
          client.send(
            new CompleteMultipartUploadCommand({ Bucket, Key: key, UploadId, MultipartUpload: { Parts } }),
            options,
          ),
        );
      } catch (error) {
        // An upload that is done has no parts any more.
        if (!(error instanceof ObjectMissing) || (await head(key)) === null) throw error;
      }
    },

    async *list() {
      let ContinuationToken: string | undefined;
      do {
        const page = await within<ListObjectsV2CommandOutput>(OPERATION_TIMEOUT_MS, (options) =>
          client.send(new ListObjectsV2Command({ Bucket, ContinuationToken }), options),
        );
        for (const { Key, LastModified } of page.Contents ?? []) yield storedKey(Key, LastModified);
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken !== undefined);
      let KeyMarker: string | undefined;
      let UploadIdMarker: string | undefined;
      do {
        const marks = { KeyMarker, UploadIdMarker };
        const page = await within<ListMultipartUploadsCommandOutput>(OPERATION_TIMEOUT_MS, (options) =>
          client.send(new ListMultipartUploadsCommand({ Bucket, ...marks }), options),
        );
        for (const { Key, Initiated } of page.Uploads ?? []) yield storedKey(Key, Initiated);
        const isMore = page.IsTruncated === true;
        KeyMarker = isMore ? page.NextKeyMarker : undefined;
        UploadIdMarker = isMore ? page.NextUploadIdMarker : undefined;
      } while (KeyMarker !== undefined);
    },

    async check() {
      await within(OPERATION_TIMEOUT_MS, (options) =>
        client.send(new HeadBucketCommand({ Bucket }), options),
      );
    },

    ...s3Links(config),
    close: () => client.destroy(),
  };
}

/** A client that waits longer where S3 joins or copies an object, and says nothing until it has. */
function openClient(config: S3Config): S3Client {
  const client = new S3Client(clientConfig(config, SILENCE_TIMEOUT_MS));
  const patient = new S3Client(clientConfig(config, COPY_TIMEOUT_MS)).config.requestHandler;
  const handler = client.config.requestHandler;
  const quick = handler.handle.bind(handler);
  handler.handle = (request, options) => {
    const joins = request.method === 'POST' && request.query.uploadId !== undefined;
    const copies = request.headers['x-amz-copy-source'] !== undefined;
    return joins || copies ? patient.handle(request, options) : quick(request, options);
  };
  return client;
}

function clientConfig(config: S3Config, socketTimeout: number): S3ClientConfig {
  return {
    region: config.region,
    ...(config.endpoint === null ? {} : { endpoint: config.endpoint }),
    forcePathStyle: config.pathStyle,
    credentials: { accessKeyId: config.accessKey, secretAccessKey: config.secretKey },
    maxAttempts: ATTEMPTS,
    // Not every S3 server knows the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout,
    },
  };
}

function putRequest(url: string, type: string): DirectPut {
  return { method: 'PUT', url, headers: { 'content-type': type } };
}

/** What S3 doesn't date is taken to be new. */
function storedKey(key = '', changed_at = new Date()): StoredKey {
  return { key, changed_at };
}

/** Counts what passes, and remembers where it was the source that failed: not so where S3 gives up on it. */
async function* counting(
  bytes: AsyncIterable<Uint8Array>,
  counted: { bytes: number },
  failure: { cause: unknown },
): AsyncIterable<Uint8Array> {
  const source = bytes[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await source.next().catch((error: unknown) => {
        failure.cause = error;
        throw error;
      });
      if (next.done === true) return;
      counted.bytes += next.value.length;
      yield next.value;
    }
  } finally {
    await source.return?.();
  }
}

async function* translated(body: Readable): AsyncIterable<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw new StorageUnavailable(error);
  }
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof ObjectMissing)) throw error;
}

function isMissing(error: unknown): boolean {
  const { name, $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } };
  return (
    name === 'NoSuchKey' ||
    name === 'NotFound' ||
    name === 'NoSuchUpload' ||
    $metadata?.httpStatusCode === 404
  );
}
