// Tokens of workers, as integrators create and revoke them.

import { newAuditEvent } from '../../../state/audit/audit.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { newCredential } from '../../../store/identity/credential-text.ts';
import { endSessions, sessionsKey } from '../../../store/identity/sessions.ts';
import {
  countWorkerTokens,
  revokeWorkerTokens,
  WORKER_TOKENS,
  workerTokenWrites,
} from '../../../store/identity/worker-tokens.ts';
import { type Change, merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { asLoaded } from '../../../store/workers/workers.ts';
import { changeableWorker } from '../../access/pool-visibility.ts';
import { quotaExceeded } from '../../access/usage.ts';
import { requireVersion } from '../../http/etag.ts';
import { closed, text } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { ownerOf } from './worker-sign-in.ts';
import { WorkerParams } from './workers.schema.ts';

export const workerTokenRoutes = [
  route({
    method: 'POST',
    path: '/v1/workers/{worker_id}/tokens',
    access: scope('workers:write'),
    versioned: true,
    tag: 'Workers',
    operationId: 'createWorkerToken',
    summary: 'Create a token for a worker',
    description: 'The token is shown once, in this answer. It acts as the worker under `/v1/worker`.',
    params: WorkerParams,
    body: closed({}),
    bodyOptional: true,
    responses: {
      201: {
        description: 'The token',
        schema: closed({
          token: text('The token, `blw_…`; shown only in this response', { pattern: '^blw_' }),
        }),
      },
    },
    async handler({ deps, principal, actor, params, ifMatch, recordResponse, credentialGuards }) {
      const { text, hash } = newCredential('blw_', principal.org_id);
      const response = { status: 201, body: { token: text } };
      return updateWithRetry('worker', async () => {
        const callerGuards = await credentialGuards();
        const worker = await changeableWorker(deps.db, principal, params.worker_id);
        requireVersion(worker.version, ifMatch);
        const count = await countWorkerTokens(deps.db, worker.org_id, worker.worker_id);
        if (count >= WORKER_TOKENS)
          throw quotaExceeded('worker_tokens', 'The worker', 'tokens', count, WORKER_TOKENS);
        const token = workerTokenWrites(deps.db, worker, principal.pools, hash);
        const auditEvent = newAuditEvent(actor, 'worker_token.created', 'worker', worker.worker_id);
        const change = merge(callerGuards, token, recordResponse(response));
        if (await commitAudited(deps.db, worker.org_id, auditEvent, change)) return response;
        return CONFLICT;
      });
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/workers/{worker_id}/tokens',
    access: scope('workers:write'),
    versioned: true,
    tag: 'Workers',
    operationId: 'revokeWorkerTokens',
    summary: 'Revoke all tokens of a worker',
    description:
      'They are rejected at once, and open streams end. So do sessions of the worker and unused sign-in links.',
    params: WorkerParams,
    responses: { 204: { description: 'Revoked' } },
    async handler({ deps, principal, actor, params, ifMatch, credentialGuards }) {
      return updateWithRetry('worker', async () => {
        const callerGuards = await credentialGuards();
        const worker = await changeableWorker(deps.db, principal, params.worker_id);
        requireVersion(worker.version, ifMatch);
        const { hashes, ...tokens } = await revokeWorkerTokens(deps.db, worker.org_id, worker.worker_id);
        const owner = ownerOf(worker);
        const { sessions, links, ...signedOut } = await endSessions(deps.db, owner);
        if (hashes.length + sessions + links === 0) return { status: 204 };
        const auditEvent = {
          ...newAuditEvent(actor, 'worker_token.revoked', 'worker', worker.worker_id),
          data: { tokens_revoked: hashes.length, sessions_ended: sessions, links_ended: links },
        };
        const asFound: Change = { guards: [asLoaded(deps.db, worker)], writes: [] };
        const change = merge(callerGuards, asFound, tokens, signedOut);
        if (!(await commitAudited(deps.db, worker.org_id, auditEvent, change))) return CONFLICT;
        for (const name of [...hashes, sessionsKey(deps.db, owner)]) deps.forgetCredential(name);
        return { status: 204 };
      });
    },
  }),
];
