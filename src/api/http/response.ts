// The response that a handler returns.

import type { Readable } from 'node:stream';
import type { SessionCookie } from './session-cookie.ts';

export interface HttpResponse {
  status: number;
  /** JSON value; absent for an empty body. */
  body?: unknown;
  /** Opens the bytes of a body that is not JSON; `headers` give its type and length. */
  content?: () => Promise<Readable>;
  headers?: Record<string, string>;
  /** Sets or removes the cookie of a session. */
  cookie?: SessionCookie;
  /** Nothing was created: the response is not stored for the Idempotency-Key, so the request can be repeated with it. */
  skipRecording?: true;
}
