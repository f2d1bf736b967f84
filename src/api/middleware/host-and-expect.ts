// The requirements of HTTP on the header fields Host and Expect: exactly one Host field (RFC 9112, section 3.2), and no
// expectation except 100-continue (RFC 9110, section 10.1.1). Node would reject these without a problem document.

import type { Middleware } from 'koa';
import { ApiError } from '../http/problem.ts';

/** Rejects requests without exactly one Host field, or with an unknown expectation. */
export function hostAndExpect(): Middleware {
  return ({ req }, next) => {
    const hosts = countHosts(req.rawHeaders);
    if (hosts > 1 || (hosts === 0 && req.httpVersion !== '1.0'))
      throw new ApiError('malformed_request', `A request must have one Host field; this has ${hosts}.`);
    const expected = req.headers.expect;
    if (expected !== undefined && expected.toLowerCase() !== '100-continue')
      throw new ApiError('expectation_failed', 'The only supported expectation is 100-continue.');
    return next();
  };
}

/** @param rawHeaders names and values in turns. */
function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 4 && name.toLowerCase() === 'host') count += 1;
  }
  return count;
}
