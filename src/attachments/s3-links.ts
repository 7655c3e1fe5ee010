import type { StorageConfig } from '../config.js';
import { presignGet, type SigningContext } from './sigv4.js';
import type { LinkSigner } from './storage-port.js';

export type S3Config = Extract<StorageConfig, { type: 's3' }>;

/** Links to objects in a bucket, apart from the SDK: threads that only show attachments don't load it. */
export function s3Links(config: S3Config): LinkSigner {
  const context = signingContext(config);
  return {
    link: (key, { type, disposition, lifeMs, method }) =>
      presignGet(
        context,
        key,
        { 'response-content-type': type, 'response-content-disposition': disposition },
        Math.ceil(lifeMs / 1_000),
        Date.now(),
        method,
      ),
  };
}

function signingContext(config: S3Config): SigningContext {
  const { region, accessKey, secretKey, bucket } = config;
  const base = new URL(config.endpoint ?? `https://s3.${region}.amazonaws.com`);
  if (config.pathStyle) base.pathname = `${base.pathname.replace(/\/$/, '')}/${bucket}`;
  else base.host = `${bucket}.${base.host}`;
  return { base, region, accessKey, secretKey };
}
