import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { expect, test } from 'vitest';
import { s3Storage } from '../../src/attachments/s3-storage.js';
import { presignGet } from '../../src/attachments/sigv4.js';
import { StorageUnavailable } from '../../src/attachments/storage-port.js';
import { within } from '../helpers/deadline.js';
import { CHECKS_SIGNATURES, startS3 } from '../helpers/s3-server.js';
import { startTcpProxy } from '../helpers/tcp-proxy.js';
import { storageContract } from './storage-contract.js';

const SIZE = 40 * 1_024 * 1_024; // more than sockets hold

storageContract(
  'S3',
  async () => {
    const server = await startS3();
    return {
      storage: s3Storage(server.config),
      base: server.config.endpoint ?? '',
      left: server.left,
      breakDown: server.stop,
      close: server.stop,
    };
  },
  { checksSignatures: CHECKS_SIGNATURES },
);

test('a stream of S3 that goes silent fails within ten seconds', { timeout: 30_000 }, async () => {
  const server = await startS3();
  const { port } = new URL(server.config.endpoint ?? '');
  const proxy = await startTcpProxy(() => Number(port));
  const storage = s3Storage({ ...server.config, endpoint: proxy.url });
  await storage.put('ab/c', Readable.from([randomBytes(SIZE)]), 'image/png');
  const stream = (await storage.get('ab/c'))[Symbol.asyncIterator]();
  await stream.next();
  proxy.stall();
  const rest = (async () => {
    while ((await stream.next()).done !== true);
  })();
  await expect(within(rest, 10_000, 'the rest')).rejects.toBeInstanceOf(StorageUnavailable);
  storage.close();
  await proxy.close();
  await server.stop();
});

test('links made without the SDK are those that the SDK makes', async () => {
  const keys = { accessKey: 'AKIDEXAMPLE', secretKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
  const region = 'eu-central-1';
  const endpoint = 'http://127.0.0.1:9000';
  const client = new S3Client({
    region,
    endpoint,
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    credentials: { accessKeyId: keys.accessKey, secretAccessKey: keys.secretKey },
  });
  const disposition = `attachment; filename="a (1)*.png"; filename*=UTF-8''%C3%A4%27.png`;
  const now = new Date('2026-01-02T03:04:05Z');
  const command = new GetObjectCommand({
    Bucket: 'bucket',
    Key: 'ab/c.d~e',
    ResponseContentDisposition: disposition,
    ResponseContentType: 'image/png',
  });
  const theirs = new URL(await getSignedUrl(client, command, { expiresIn: 900, signingDate: now }));
  const query = {
    'response-content-type': 'image/png',
    'response-content-disposition': disposition,
    'x-id': 'GetObject',
  };
  const context = { base: new URL(`${endpoint}/bucket`), region, ...keys };
  const ours = new URL(presignGet(context, 'ab/c.d~e', query, 900, now.getTime()));
  const parameters = (url: URL) =>
    [...url.searchParams].sort().filter(([name]) => name !== 'x-amz-checksum-mode');
  expect(parameters(ours)).toEqual(parameters(theirs));
  expect(ours.pathname).toBe(theirs.pathname);
});
