// What HTTP asks of every request beside its syntax: exactly one Host (RFC 9112, section 3.2), and no expectation but
// 100-continue (RFC 9110, section 10.1.1). Node would answer these itself, without a body.

import type { Middleware } from 'koa';
import { ApiError } from '../http/problem.ts';

/** Refuses requests with another number of Host fields than one, or with an unknown expectation. */
export function framing(): Middleware {
  return ({ req }, next) => {
    const hosts = req.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host');
    if (hosts.length > 1 || (hosts.length === 0 && req.httpVersion !== '1.0'))
      throw new ApiError('malformed_request', `A request has one Host field; this has ${hosts.length}.`);
    const expected = req.headers.expect;
    if (expected !== undefined && expected.toLowerCase() !== '100-continue')
      throw new ApiError('expectation_failed', 'The only expectation that is met is 100-continue.');
    return next();
  };
}
