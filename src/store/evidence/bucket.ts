// Evidence in an S3 bucket, of AWS or of anything that speaks the same protocol. Loaded only when
// EVIDENCE_STORE asks for it, since the packages for it are optional.

import { Disk } from 'flydrive';

/** What fails is thrown, and told by whoever catches it; the SDK would tell it to the console as well. */
const SILENT = { debug: quiet, info: quiet, warn: quiet, error: quiet };
function quiet(): void {}

/** Limits of one exchange with the bucket, ms: to connect, and of silence. */
const CONNECT = 5_000;
const SILENCE = 30_000;

interface Bucket {
  bucket: string;
  region: string | undefined;
  endpoint: string | undefined;
  pathStyle: boolean;
  /** Before every key: empty, or ends in a slash. */
  prefix: string;
}

/**
 * Opens `s3://bucket/prefix?region=…&endpoint=…&path_style=…`.
 * @throws Error that says what is wrong with it, or which packages are missing.
 */
export async function openBucket(location: string): Promise<{ disk: Disk; prefix: string; close(): void }> {
  const { bucket, prefix, region, endpoint, pathStyle } = parseBucket(location);
  const { S3Client, S3Driver } = await loadPackages();
  const client = new S3Client({
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    forcePathStyle: pathStyle,
    // Not all that speak S3 know its newer checksums; what is read is checked against our own.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    logger: SILENT,
    requestHandler: { connectionTimeout: CONNECT, socketTimeout: SILENCE },
  });
  const driver = new S3Driver({ client, bucket, visibility: 'private', supportsACL: false });
  return { disk: new Disk(driver), prefix, close: () => client.destroy() };
}

/** What an s3:// URL says. @throws Error for one that says it wrongly. */
export function parseBucket(location: string): Bucket {
  const wrong = (what: string) => new Error(`EVIDENCE_STORE ${what}: s3://bucket/prefix?region=…&endpoint=…`);
  if (!URL.canParse(location)) throw wrong('is no URL');
  const url = new URL(location);
  if (url.username !== '' || url.password !== '') throw wrong('must hold no credentials');
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.host)) throw wrong('names no bucket');
  const prefix = url.pathname.replaceAll(/^\/+|\/+$/g, '');
  if (!/^[A-Za-z0-9_./-]*$/.test(prefix) || prefix.split('/').some((one) => /^\.*$/.test(one) && one !== ''))
    throw wrong('has a prefix of other than letters, digits, "_", "-" and "."');
  for (const name of url.searchParams.keys())
    if (!['region', 'endpoint', 'path_style'].includes(name)) throw wrong(`has an unknown option ${name}`);
  const endpoint = url.searchParams.get('endpoint') ?? undefined;
  if (endpoint !== undefined && !/^https?:\/\/[^/]/.test(endpoint)) throw wrong('has no http(s) endpoint');
  const pathStyle = url.searchParams.get('path_style') ?? (endpoint === undefined ? 'false' : 'true');
  if (pathStyle !== 'true' && pathStyle !== 'false') throw wrong('takes path_style=true or false');
  return {
    bucket: url.host,
    // A service of one's own has no regions, but the signature needs a name for one.
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
