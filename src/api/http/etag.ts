// Record versions as strong ETags, and the check of `If-Match`.

import { ApiError } from './problem.ts';
import type { HttpResponse } from './response.ts';

/** The strong ETag of a record (RFC 9110, section 8.8.3): its version. */
export function etag(record: { version: number }): string {
  return `"${record.version}"`;
}

/** The response with one record and its ETag. A status of 201 adds the path of the record as its Location. */
export function versionedResponse(
  record: { version: number },
  body: object,
  path: string,
  status = 200,
): HttpResponse {
  return { status, body, headers: { ETag: etag(record), ...(status === 201 && { Location: path }) } };
}

/** Requires that the record still has the version in `If-Match`, if given. @throws ApiError 412 */
export function requireVersion(version: number | null, ifMatch: number | undefined): void {
  if (ifMatch === undefined || ifMatch === version) return;
  const detail = version === null ? 'This resource has no version.' : `The current version is ${version}.`;
  throw new ApiError('version_mismatch', detail);
}
