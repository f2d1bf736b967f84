// How a team lets workers sign in to the portal, sees their sessions, and signs them out everywhere.

import Type from 'typebox';
import { newAuditEvent } from '../../../state/audit/audit.ts';
import { timestamp } from '../../../state/text/time.ts';
import type { Worker } from '../../../state/workers/worker.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { newCredential } from '../../../store/identity/credential-text.ts';
import type { SessionOwner } from '../../../store/identity/session-records.ts';
import {
  endSessions,
  linkWrites,
  listSessions,
  MAX_LINK_LIFE_MS,
  sessionsKey,
} from '../../../store/identity/sessions.ts';
import { type Change, merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { asLoaded } from '../../../store/workers/workers.ts';
import { changeableWorker, visibleWorker } from '../../access/pool-visibility.ts';
import { requireVersion } from '../../http/etag.ts';
import { closed, text, time } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { SessionPage, sessionList } from '../identity/sessions.schema.ts';
import { WorkerParams } from './workers.schema.ts';

const tag = 'Sign-in';
const LINK_LIFE_SECONDS = 900;

export const workerSignInRoutes = [
  route({
    method: 'POST',
    path: '/v1/workers/{worker_id}/sign-in-links',
    access: scope('workers:write'),
    versioned: true,
    tag,
    operationId: 'createSignInLink',
    summary: 'Create a sign-in link for a worker',
    description:
      'The link is shown once, in this answer. It opens a page with a button; pressing it signs the worker in to the portal, once.',
    params: WorkerParams,
    body: closed({
      expires_in_seconds: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: MAX_LINK_LIFE_MS / 1000,
          default: LINK_LIFE_SECONDS,
          description: 'How long the link may be used',
        }),
      ),
    }),
    bodyOptional: true,
    responses: {
      201: {
        description: 'The link',
        schema: closed({
          url: text('The link; shown only in this response'),
          expires_at: time('When it stops working'),
        }),
      },
    },
    async handler(call) {
      const { deps, principal, actor, params, body, ifMatch, origin, recordResponse, credentialGuards } =
        call;
      const { text: link, hash } = newCredential('bll_', principal.org_id);
      const expires_at = deps.db.clock.now() + 1000 * (body.expires_in_seconds ?? LINK_LIFE_SECONDS);
      const url = `${origin()}/work/sign-in#${link}`;
      const response = { status: 201, body: { url, expires_at: timestamp(expires_at) } };
      return updateWithRetry('worker', async () => {
        const callerGuards = await credentialGuards();
        const worker = await changeableWorker(deps.db, principal, params.worker_id);
        requireVersion(worker.version, ifMatch);
        const { org_id, worker_id, incarnation } = worker;
        const writes = await linkWrites(
          deps.db,
          {
            kind: 'sign_in_link',
            org_id,
            subject: {
              kind: 'worker',
              worker_id,
              ...(incarnation !== undefined && { incarnation }),
              ...(!principal.pools.includes('*') && { pools: principal.pools }),
            },
            authority: principal.authority,
            expires_at,
          },
          hash,
        );
        const auditEvent = {
          ...newAuditEvent(actor, 'sign_in_link.created', 'worker', worker_id),
          data: { expires_at: timestamp(expires_at) },
        };
        const asFound: Change = { guards: [asLoaded(deps.db, worker)], writes: [] };
        const change = merge(callerGuards, asFound, writes, recordResponse(response));
        return (await commitAudited(deps.db, org_id, auditEvent, change)) ? response : CONFLICT;
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/workers/{worker_id}/sessions',
    access: scope('workers:read'),
    tag,
    operationId: 'listWorkerSessions',
    summary: 'List the sessions of a worker',
    description: 'The browsers in which the worker is signed in to the portal, the newest first.',
    params: WorkerParams,
    responses: { 200: { description: 'All sessions', schema: SessionPage } },
    handler: async ({ deps: { db }, principal, params }) =>
      sessionList(await listSessions(db, ownerOf(await visibleWorker(db, principal, params.worker_id)))),
  }),
  route({
    method: 'DELETE',
    path: '/v1/workers/{worker_id}/sessions',
    access: scope('workers:write'),
    versioned: true,
    tag,
    operationId: 'endWorkerSessions',
    summary: 'Sign a worker out everywhere',
    description:
      'Ends all sessions and unused sign-in links, at once, with open streams. Tokens of the worker stay.',
    params: WorkerParams,
    responses: { 204: { description: 'Signed out' } },
    async handler({ deps, principal, actor, params, ifMatch, credentialGuards }) {
      return updateWithRetry('worker', async () => {
        const callerGuards = await credentialGuards();
        const worker = await changeableWorker(deps.db, principal, params.worker_id);
        requireVersion(worker.version, ifMatch);
        const owner = ownerOf(worker);
        const { sessions, links, ...ended } = await endSessions(deps.db, owner);
        if (sessions + links === 0) return { status: 204 };
        const auditEvent = {
          ...newAuditEvent(actor, 'worker.signed_out', 'worker', worker.worker_id),
          data: { sessions_ended: sessions, links_ended: links },
        };
        const asFound: Change = { guards: [asLoaded(deps.db, worker)], writes: [] };
        const change = merge(callerGuards, asFound, ended);
        if (!(await commitAudited(deps.db, worker.org_id, auditEvent, change))) return CONFLICT;
        deps.forgetCredential(sessionsKey(deps.db, owner));
        return { status: 204 };
      });
    },
  }),
];

/** The worker as the owner of sessions. */
export function ownerOf({ org_id, worker_id }: Pick<Worker, 'org_id' | 'worker_id'>): SessionOwner {
  return { kind: 'worker', org_id, worker_id };
}
