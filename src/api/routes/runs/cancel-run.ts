// Cancels a run: a replay, a redelivery or a bulk action.

import type { AuditEvent } from '../../../state/audit/audit.ts';
import { endedRun, hasEnded, type Run } from '../../../state/runs/run.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { type Change, merge } from '../../../store/redis/commit.ts';
import type { Db } from '../../../store/redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { requireVersion } from '../../http/etag.ts';
import { ApiError } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import type { Call } from '../../route.ts';

/** What differs between the kinds of runs when one is cancelled. */
interface Cancellation<R extends Run> {
  /** What the run is called in errors. */
  noun: string;
  /** Loads the run. @throws ApiError 404 */
  load(): Promise<R>;
  endWrites(db: Db, before: R, after: R): Change;
  auditEvent(after: R): AuditEvent;
  /** The body of the response. */
  view(after: R): object | Promise<object>;
}

/**
 * Ends a run with the status `cancelled`, and returns the response with its view.
 * @throws ApiError 404, 409 when the run has ended, 412 when it has another version than `If-Match`
 */
export function cancelRun<R extends Run>(
  {
    deps: { db },
    ifMatch,
    recordResponse,
    credentialGuards,
  }: Pick<Call, 'deps' | 'ifMatch' | 'recordResponse' | 'credentialGuards'>,
  { noun, load, endWrites, auditEvent, view }: Cancellation<R>,
): Promise<HttpResponse> {
  return updateWithRetry(noun, async () => {
    const callerGuards = await credentialGuards();
    const before = await load();
    requireVersion(before.version, ifMatch);
    if (hasEnded(before))
      throw new ApiError('invalid_transition', `The ${noun} is already ${before.status}.`);
    const after = endedRun(before, 'cancelled', null, db.clock.now());
    const response = { status: 200, body: await view(after) };
    const whole = merge(callerGuards, endWrites(db, before, after), recordResponse(response));
    return (await commitAudited(db, after.org_id, auditEvent(after), whole)) ? response : CONFLICT;
  });
}
