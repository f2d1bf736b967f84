// What a response says about the cookie of a signed-in browser; `access/session-cookies.ts` sends it.

/** Sessions of the worker's portal and of the team's console; each has its own cookie. */
export type SessionKind = 'worker' | 'console';

/** What a response does to a session cookie: sets it, or removes it (`text` null). */
export interface SessionCookie {
  kind: SessionKind;
  text: string | null;
  /** Lifetime in ms. */
  life: number;
}
