import { createHash, createHmac } from 'node:crypto';

/** What signing needs to know of the S3 server. */
export interface SigningContext {
  /** Scheme and host, and the path to the bucket's objects, without trailing slash. */
  readonly base: URL;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/**
 * Presigns a GET, or a HEAD (AWS Signature Version 4 in the query). The SDK's presigner does the same, but only with a promise.
 *
 * @param query parameters such as `response-content-type`
 * @param lifeS seconds, at most 604,800 (S3's own limit)
 */
export function presignGet(
  context: SigningContext,
  key: string,
  query: Readonly<Record<string, string>>,
  lifeS: number,
  nowMs: number,
  method: 'GET' | 'HEAD' = 'GET',
): string {
  const { base, region } = context;
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const parameters: Record<string, string> = {
    ...query,
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD',
    'X-Amz-Credential': `${context.accessKey}/${scope}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': String(lifeS),
    'X-Amz-SignedHeaders': 'host',
  };
  const canonicalQuery = Object.entries(parameters)
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
  const path = `${base.pathname.replace(/\/$/, '')}/${key.split('/').map(encode).join('/')}`;
  const request = [method, path, canonicalQuery, `host:${base.host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join(
    '\n',
  );
  const digest = createHash('sha256').update(request).digest('hex');
  const signed = ['AWS4-HMAC-SHA256', time, scope, digest].join('\n');
  const signature = hmac(signingKey(context, time.slice(0, 8)), signed).toString('hex');
  return `${base.origin}${path}?${canonicalQuery}&X-Amz-Signature=${signature}`;
}

let dayKey: { readonly of: string; readonly key: Buffer } | null = null;

/** The day's key: four hashes that all links of a day share. */
function signingKey({ secretKey, region }: SigningContext, date: string): Buffer {
  const of = `${secretKey} ${region} ${date}`;
  if (dayKey?.of !== of) {
    const key = [region, 's3', 'aws4_request'].reduce(hmac, hmac(`AWS4${secretKey}`, date));
    dayKey = { of, key };
  }
  return dayKey.key;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** Percent-encoding as S3 counts it: everything but unreserved characters. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
