// The file store in an S3 bucket, of AWS or of a compatible service. Loaded only when EVIDENCE_STORE names a bucket,
// because its packages are optional.

import { Disk } from 'flydrive';

/** The SDK would also log to the console each error that it throws. */
const SILENT = { debug: quiet, info: quiet, warn: quiet, error: quiet };
function quiet(): void {}

/** Timeouts of a request to the bucket, ms: for the connection, and for a socket without traffic. */
const CONNECT_TIMEOUT = 5_000;
const IDLE_TIMEOUT = 30_000;

interface Bucket {
  bucket: string;
  region: string | undefined;
  endpoint: string | undefined;
  pathStyle: boolean;
  /** Prefix of every path: empty, or ends in a slash. */
  prefix: string;
}

/**
 * Opens `s3://bucket/prefix?region=…&endpoint=…&path_style=…`.
 * @throws Error with what is wrong with the location, or which packages are missing.
 */
export async function openBucket(location: string): Promise<{ disk: Disk; prefix: string; close(): void }> {
  const { bucket, prefix, region, endpoint, pathStyle } = parseBucket(location);
  const { S3Client, S3Driver } = await loadPackages();
  const client = new S3Client({
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    forcePathStyle: pathStyle,
    // Some compatible services do not support S3's newer checksums; files are checked against their SHA-256 anyway.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    logger: SILENT,
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT, socketTimeout: IDLE_TIMEOUT },
  });
  const driver = new S3Driver({ client, bucket, visibility: 'private', supportsACL: false });
  return { disk: new Disk(driver), prefix, close: () => client.destroy() };
}

/** Parses an `s3://` URL. @throws Error with what is wrong with it. */
export function parseBucket(location: string): Bucket {
  const wrong = (what: string) => new Error(`EVIDENCE_STORE ${what}: s3://bucket/prefix?region=…&endpoint=…`);
  if (!URL.canParse(location)) throw wrong('is not a URL');
  const url = new URL(location);
  if (url.username !== '' || url.password !== '') throw wrong('must not contain credentials');
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.host)) throw wrong('does not name a valid bucket');
  const prefix = url.pathname.replaceAll(/^\/+|\/+$/g, '');
  if (!/^[A-Za-z0-9_./-]*$/.test(prefix) || prefix.split('/').some((one) => /^\.*$/.test(one) && one !== ''))
    throw wrong('has a prefix with other characters than letters, digits, "_", "-" and "."');
  for (const name of url.searchParams.keys())
    if (!['region', 'endpoint', 'path_style'].includes(name)) throw wrong(`has an unknown option ${name}`);
  const endpoint = url.searchParams.get('endpoint') ?? undefined;
  if (endpoint !== undefined && !/^https?:\/\/[^/]/.test(endpoint))
    throw wrong('has an endpoint that is not an http(s) URL');
  const pathStyle = url.searchParams.get('path_style') ?? (endpoint === undefined ? 'false' : 'true');
  if (pathStyle !== 'true' && pathStyle !== 'false')
    throw wrong('has a path_style that is neither true nor false');
  return {
    bucket: url.host,
    // A compatible service may have no regions, but the signature needs the name of one.
    region: url.searchParams.get('region') ?? (endpoint === undefined ? undefined : 'us-east-1'),
    endpoint,
    pathStyle: pathStyle === 'true',
    prefix: prefix === '' ? '' : `${prefix}/`,
  };
}

async function loadPackages() {
  try {
    const [{ S3Client }, { S3Driver }] = await Promise.all([
      import('@aws-sdk/client-s3'),
      import('flydrive/drivers/s3'),
    ]);
    return { S3Client, S3Driver };
  } catch (error) {
    throw new Error(
      'EVIDENCE_STORE names an S3 bucket, for which the optional packages @aws-sdk/client-s3 and ' +
        '@aws-sdk/s3-request-presigner must be installed',
      { cause: error },
    );
  }
}
