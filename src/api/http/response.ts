// The response that a handler returns, and the session cookie that it may set or remove.

import type { Readable } from 'node:stream';

/** Sessions of the worker's portal and of the team's console; each has its own cookie. */
export type SessionKind = 'worker' | 'console';

/** What a response does to a session cookie: sets it, or removes it (`text` null). */
export interface SessionCookie {
  kind: SessionKind;
  text: string | null;
  /** Lifetime in ms. */
  life: number;
}

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
