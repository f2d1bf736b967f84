// What the API shows of sessions of browsers.

import Type from 'typebox';
import { timestamp } from '../../../state/text/time.ts';
import type { MemberSession, WorkerSession } from '../../../store/identity/session-records.ts';
import type { HttpResponse } from '../../http/response.ts';
import { CreatedAt, idOf, nullable, pageOf, text, time, word } from '../../http/schemas.ts';

export const ExpiresAt = time('When the session ends, unless it ends before');

const SessionView = Type.Object(
  {
    session_id: idOf('session'),
    signed_in_with: word(['link', 'token', 'password'], { description: 'How the person signed in' }),
    user_agent: nullable(text('`User-Agent` of the browser, shortened')),
    created_at: CreatedAt,
    expires_at: ExpiresAt,
  },
  { $id: 'Session', description: 'A browser in which a worker or member is signed in' },
);
export const SessionPage = pageOf(SessionView);

/** All sessions of a worker or member, which fit on one page. */
export function sessionList(sessions: readonly (WorkerSession | MemberSession)[]): HttpResponse {
  const data = sessions.map(({ session_id, signed_in_with, user_agent, created_at, expires_at }) => ({
    ...{ session_id, signed_in_with, user_agent },
    created_at: timestamp(created_at),
    expires_at: timestamp(expires_at),
  }));
  return { status: 200, body: { data, has_more: false, next_cursor: null } };
}
