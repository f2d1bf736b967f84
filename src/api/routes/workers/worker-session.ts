// The session of the worker's portal: a browser signs in with a one-time link or a worker token, and keeps a cookie.

import Type from 'typebox';
import { orgOf } from '../../../state/access/tenant.ts';
import { timestamp } from '../../../state/text/time.ts';
import type { Worker } from '../../../state/workers/worker.ts';
import { SESSION_LIFE_MS } from '../../../store/identity/sessions.ts';
import { ownWorker } from '../../access/own-task.ts';
import { signInWorker, signOut } from '../../access/sign-in.ts';
import { closed, idOf, text, WorkerId } from '../../http/schemas.ts';
import { route } from '../../route.ts';
import { ExpiresAt } from '../identity/sessions.schema.ts';

const tag = 'Sign-in';
const path = '/v1/worker/session';
const SessionView = Type.Object(
  {
    worker_id: WorkerId,
    name: text('Name of the worker'),
    org_id: idOf('org'),
    session_id: idOf('session'),
    expires_at: ExpiresAt,
  },
  { $id: 'WorkerSession', description: 'The session of a browser in which a worker is signed in' },
);
const Credential = (description: string) => Type.Optional(Type.String({ maxLength: 100, description }));

export const workerSessionRoutes = [
  route({
    method: 'POST',
    path,
    access: { kind: 'sign_in', of: 'worker' },
    tag,
    operationId: 'signInWorker',
    summary: 'Sign a worker in',
    description:
      'For the pages of this server: sets a cookie with which the browser may call `/v1/worker`. A link works once.',
    body: closed({
      link: Credential('The part of a sign-in link after `#`; either this or `token`'),
      token: Credential('A worker token, `blw_…`'),
    }),
    rules: async (body) => {
      const { link, token } = body as { link?: unknown; token?: unknown };
      return (link === undefined) === (token === undefined)
        ? [{ pointer: '', message: 'must have either link or token' }]
        : [];
    },
    responses: { 201: { description: 'The session; the cookie is set', schema: SessionView } },
    errors: ['invalid_credential', 'origin_not_allowed', 'ip_not_allowed', 'org_suspended'],
    async handler({ deps: { db }, body, ...browser }) {
      const { link, token = '' } = body;
      const given = link === undefined ? { token } : { link };
      const { text, session, worker } = await signInWorker(db, given, browser);
      return {
        status: 201,
        body: sessionView(session, worker),
        cookie: { kind: 'worker', text, life: SESSION_LIFE_MS.worker },
      };
    },
  }),
  route({
    method: 'GET',
    path,
    access: { kind: 'session', of: 'worker' },
    tag,
    operationId: 'getWorkerSession',
    summary: 'Retrieve the session of a worker',
    description: 'Shows who is signed in, by the cookie; 401 when nobody is.',
    responses: { 200: { description: 'The session', schema: SessionView } },
    async handler({ deps: { db }, principal }) {
      return { status: 200, body: sessionView(principal.session, await ownWorker(db, principal)) };
    },
  }),
  route({
    method: 'DELETE',
    path,
    access: { kind: 'session', of: 'worker' },
    tag,
    operationId: 'signOutWorker',
    summary: 'Sign the worker out of this browser',
    description: 'Ends the session and removes the cookie. Other sessions stay.',
    responses: { 204: { description: 'Signed out' } },
    handler: ({ deps, principal: { session } }) => signOut(deps, 'worker', session),
  }),
];

function sessionView(
  { session_id, expires_at }: { session_id: string; expires_at: number },
  { worker_id, name, org_id }: Worker,
): object {
  return { worker_id, name, org_id: orgOf(org_id), session_id, expires_at: timestamp(expires_at) };
}
