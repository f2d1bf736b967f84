// From the body of `POST /v1/tasks` to the task's input: the rules that no schema can say, the defaults,
// and the sealing of what must not lie open.

import { checkCallbackUrl } from '../../state/callback-url.ts';
import { EVENT_TYPES } from '../../state/lifecycle.ts';
import type { CallbackAuth, Handoff, TaskInput } from '../../state/task.ts';
import { timestamp } from '../../state/view.ts';
import { callbackAuthPlace } from '../../store/orgs.ts';
import { loadPool } from '../../store/pools.ts';
import { ApiError, type FieldError, invalid } from '../problem.ts';
import { type ApiDeps, type KeyPrincipal, maySeePool } from '../route.ts';
import type { TaskCreate } from './tasks.schema.ts';

/**
 * The input of a new task.
 * @throws ApiError 403 `org_mismatch` or `pool_forbidden`; 422 with every rule the body breaks.
 */
export async function taskInput(
  deps: ApiDeps,
  principal: KeyPrincipal,
  body: TaskCreate,
): Promise<TaskInput> {
  if (body.origin.org_id !== undefined && body.origin.org_id !== principal.org_id)
    throw new ApiError('org_mismatch', 'origin.org_id is not the org of this key.');
  const pool = body.requirements?.worker_pool_id ?? null;
  if (!maySeePool(principal, pool))
    throw new ApiError('pool_forbidden', 'The key may create tasks only for its own pools.');

  const errors = [
    ...timeErrors(body, deps.db.clock.now()),
    ...callbackErrors(deps, body),
    ...reviewErrors(body),
    ...(await outputErrors(deps, body)),
    ...(await poolErrors(deps, principal.org_id, pool)),
  ];
  if (errors.length > 0) throw invalid(...errors);

  const { handoff, ...rest } = body;
  const { origin, sla, output, audit } = rest;
  return {
    ...rest,
    origin: {
      ...origin,
      org_id: principal.org_id,
      created_by: origin.created_by ?? 'api',
      ...(origin.created_at !== undefined && { created_at: normalised(origin.created_at) }),
    },
    sla: { ...sla, ...(sla.deadline !== undefined && { deadline: normalised(sla.deadline) }) },
    output: {
      ...output,
      evidence_required: output.evidence_required ?? false,
      review: output.review ?? { mode: 'auto' },
    },
    ...(handoff !== undefined && { handoff: handoffInput(deps, principal.org_id, handoff) }),
    audit: { log_required: audit?.log_required ?? true, retain_days: audit?.retain_days ?? 365 },
  };
}

function timeErrors(body: TaskCreate, now: number): FieldError[] {
  const errors: FieldError[] = [];
  const { deadline } = body.sla;
  if (deadline !== undefined && !(Date.parse(deadline) > now))
    errors.push({ pointer: '/sla/deadline', message: 'must be in the future' });
  const { created_at } = body.origin;
  if (created_at !== undefined && Number.isNaN(Date.parse(created_at)))
    errors.push({ pointer: '/origin/created_at', message: 'is not a time' });
  return errors;
}

function callbackErrors(deps: ApiDeps, body: TaskCreate): FieldError[] {
  const url = body.handoff?.callback_url;
  const fault = url === undefined ? null : checkCallbackUrl(url, deps.addressPolicy);
  return fault === null ? [] : [{ pointer: '/handoff/callback_url', message: fault }];
}

function reviewErrors(body: TaskCreate): FieldError[] {
  const { review } = body.output;
  if (review?.mode !== 'auto' || review.auto_approve_after_seconds === undefined) return [];
  return [{ pointer: '/output/review/auto_approve_after_seconds', message: 'is only for mode manual' }];
}

async function outputErrors(deps: ApiDeps, body: TaskCreate): Promise<FieldError[]> {
  const { expected_format, schema } = body.output;
  if (expected_format === 'text')
    return schema === undefined
      ? []
      : [{ pointer: '/output/schema', message: 'is only for structured_json' }];
  if (schema === undefined) return [{ pointer: '/output/schema', message: 'is required' }];
  const problems = await deps.schemas.check(schema);
  return problems.map((one) => ({ pointer: `/output/schema${one.pointer}`, message: one.message }));
}

async function poolErrors(deps: ApiDeps, orgId: string, pool: string | null): Promise<FieldError[]> {
  if (pool === null || (await loadPool(deps.db, orgId, pool)) !== null) return [];
  return [{ pointer: '/requirements/worker_pool_id', message: 'is not a pool of this org' }];
}

function handoffInput(deps: ApiDeps, orgId: string, given: NonNullable<TaskCreate['handoff']>): Handoff {
  return {
    ...given,
    callback_auth: sealedAuth(deps, orgId, given.callback_auth ?? { type: 'none' }),
    retry_policy: {
      max_retries: given.retry_policy?.max_retries ?? 6,
      backoff_seconds: given.retry_policy?.backoff_seconds ?? 30,
    },
    events: given.events ?? [...EVENT_TYPES],
  };
}

function sealedAuth(
  deps: ApiDeps,
  orgId: string,
  auth: NonNullable<NonNullable<TaskCreate['handoff']>['callback_auth']>,
): CallbackAuth {
  const place = callbackAuthPlace(orgId);
  switch (auth.type) {
    case 'none':
      return { type: 'none' };
    case 'bearer':
      return { type: 'bearer', sealed: deps.sealer.seal(auth.token, place) };
    case 'basic': {
      const pair = Buffer.from(`${auth.username}:${auth.password}`).toString('base64');
      return { type: 'basic', sealed: deps.sealer.seal(pair, place) };
    }
  }
}

function normalised(time: string): string {
  return timestamp(Date.parse(time));
}
