// Turns the body of `POST /v1/tasks` into the task's input: checks rules that no schema can express, fills in defaults
// and seals secrets.

import { orgOf } from '../../../state/access/tenant.ts';
import { exclusionErrors } from '../../../state/tasks/exclusion.ts';
import { DEFAULT_EVENT_TYPES } from '../../../state/tasks/lifecycle.ts';
import { stepErrors } from '../../../state/tasks/relaxation-validation.ts';
import type { CallbackAuth, Handoff, TaskInput } from '../../../state/tasks/task.ts';
import { parseTime, timeOf, timestamp } from '../../../state/text/time.ts';
import { checkCallbackUrl } from '../../../state/webhooks/callback-url.ts';
import { DUE_TOO_EARLY, NO_POOL, TARGET_TOO_LATE } from '../../../store/commands/refusals.ts';
import { callbackAuthContext } from '../../../store/identity/orgs.ts';
import { hasPool } from '../../../store/workers/pools.ts';
import { type KeyPrincipal, maySeePool, type Principal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { ApiError, type FieldError } from '../../http/problem.ts';
import { at } from '../../http/validation.ts';
import { copiesErrors } from './copies-validation.ts';
import { namedErrors } from './exclusion-validation.ts';
import { slaErrors } from './sla-validation.ts';
import type { TaskCreate } from './task-input.schema.ts';

/**
 * The input of a new task. @param body valid by the schema and `taskRules`
 * @throws ApiError 403 `org_mismatch` or `pool_forbidden`
 */
export function taskInput(deps: ApiDeps, principal: KeyPrincipal, body: TaskCreate): TaskInput {
  const org_id = orgOf(principal.org_id);
  if (isOtherOrg(body.origin.org_id, org_id))
    throw new ApiError(
      'org_mismatch',
      'origin.org_id is not the org of this key. Leave it out, or use its id.',
      {
        errors: [OTHER_ORG],
      },
    );
  if (!maySeePool(principal, body.requirements?.worker_pool_id ?? null))
    throw new ApiError('pool_forbidden', 'The key may create tasks only for its own pools.');
  const { origin, context, requirements, handoff, audit, metadata } = body;
  const input: TaskInput = {
    origin: {
      product: origin.product,
      request_id: origin.request_id,
      created_by: origin.created_by ?? 'api',
      org_id,
    },
    task_type: body.task_type,
    domain: body.domain,
    title: body.title,
    instructions: body.instructions,
    sla: { ...body.sla },
    output: outputInput(body.output),
    audit: { log_required: audit?.log_required ?? true, retain_days: audit?.retain_days ?? 365 },
  };
  if (body.task_type_version !== undefined) input.task_type_version = body.task_type_version;
  if (body.not_before !== undefined) input.not_before = normalised(body.not_before);
  if (origin.created_at !== undefined) input.origin.created_at = normalised(origin.created_at);
  if (body.sla.deadline !== undefined) input.sla.deadline = normalised(body.sla.deadline);
  if (context !== undefined) input.context = context;
  if (requirements !== undefined) input.requirements = requirements;
  if (handoff !== undefined) input.handoff = handoffInput(deps, principal.org_id, handoff);
  if (metadata !== undefined) input.metadata = metadata;
  return input;
}

function outputInput(given: TaskCreate['output']): TaskInput['output'] {
  const output: TaskInput['output'] = {
    expected_format: given.expected_format,
    evidence_required: given.evidence_required ?? false,
    review: given.review ?? { mode: 'auto' },
  };
  if (given.schema !== undefined) output.schema = given.schema;
  if (given.evidence_types !== undefined) output.evidence_types = given.evidence_types;
  if (given.copies !== undefined) output.copies = given.copies;
  if (given.gold !== undefined) output.gold = given.gold;
  return output;
}

const OTHER_ORG = { pointer: '/origin/org_id', message: 'is not the org of this key' };

/** Whether a body names another org than that of its credential. */
function isOtherOrg(given: unknown, orgId: string): boolean {
  return typeof given === 'string' && given.toLowerCase() !== orgId;
}

/**
 * The rules beyond the schema that the body breaks. The body may be invalid: parts of another type are skipped.
 * The org, for which `taskInput` has a problem of its own, is reported here only with other errors.
 */
export async function taskRules(
  body: unknown,
  { deps, principal }: { deps: ApiDeps; principal: Principal },
): Promise<FieldError[]> {
  const errors = await errorsOf(body, deps, principal);
  const hasOtherOrg = isOtherOrg(at(body, 'origin', 'org_id'), chargedTo(principal));
  return errors.length > 0 && hasOtherOrg ? [...errors, OTHER_ORG] : errors;
}

async function errorsOf(body: unknown, deps: ApiDeps, principal: Principal): Promise<FieldError[]> {
  const now = deps.db.clock.now();
  const due = timeAt(body, 'sla', 'deadline');
  const errors = timeErrors(body, now, due);
  errors.push(...latencyErrors(body, now, due), ...callbackErrors(deps, body), ...reviewErrors(body));
  errors.push(...copiesErrors(body), ...stepErrors(at(body, 'requirements')));
  errors.push(...exclusionErrors(at(body, 'requirements'), null));
  errors.push(...(await outputErrors(deps, body, principal)));
  if (principal.kind === 'api_key')
    errors.push(
      ...(await slaErrors(deps, principal, body)),
      ...(await referenceErrors(deps, principal, body)),
    );
  return errors;
}

/** How far ahead `not_before` may be, ms. */
const MAX_START_DELAY_MS = 365 * 24 * 3600_000;

/** The errors of the body's times. @param now ms. @param due its deadline, ms */
export function timeErrors(body: unknown, now: number, due = timeAt(body, 'sla', 'deadline')): FieldError[] {
  const errors: FieldError[] = [];
  if (due !== null && due <= now) errors.push({ pointer: '/sla/deadline', message: 'must be in the future' });
  const start = timeAt(body, 'not_before');
  if (start !== null && start > now + MAX_START_DELAY_MS)
    errors.push({ pointer: '/not_before', message: 'must be at most 365 days ahead' });
  if (start !== null && due !== null && start > now && due <= start)
    errors.push({ pointer: '/not_before', message: 'must be earlier than sla.deadline' }, DUE_TOO_EARLY);
  return errors;
}

/** By how much the target latency may end after the deadline, ms: requests take time, and may be repeated. */
const LATENCY_SLACK_MS = 60_000;

/** The error of a new task whose target latency ends after its deadline. @param now ms. @param due its deadline, ms */
function latencyErrors(body: unknown, now: number, due: number | null): FieldError[] {
  const latency = at(body, 'sla', 'target_latency_seconds');
  if (typeof latency !== 'number' || due === null || due <= now) return [];
  const start = Math.max(now, timeAt(body, 'not_before') ?? now);
  return start + latency * 1000 > due + LATENCY_SLACK_MS ? [TARGET_TOO_LATE] : [];
}

function timeAt(body: unknown, ...path: string[]): number | null {
  const text = at(body, ...path);
  return typeof text === 'string' ? parseTime(text) : null;
}

function callbackErrors(deps: ApiDeps, body: unknown): FieldError[] {
  const url = at(body, 'handoff', 'callback_url');
  const fault = typeof url === 'string' ? checkCallbackUrl(url, deps.addressPolicy) : null;
  return fault === null ? [] : [{ pointer: '/handoff/callback_url', message: fault }];
}

function reviewErrors(body: unknown): FieldError[] {
  const wait = at(body, 'output', 'review', 'auto_approve_after_seconds');
  if (at(body, 'output', 'review', 'mode') !== 'auto' || wait === undefined) return [];
  return [
    { pointer: '/output/review/auto_approve_after_seconds', message: 'is allowed only with mode manual' },
  ];
}

/** The org that is charged for the time of a check; none while the caller is not known. */
export function chargedTo(principal: Principal): string {
  return 'org_id' in principal ? orgOf(principal.org_id) : '';
}

/** The faults of the output's schema; when there are none, those of the expected answer under it. */
async function outputErrors(deps: ApiDeps, body: unknown, principal: Principal): Promise<FieldError[]> {
  const errors = await schemaErrors(deps, body, principal);
  const format = at(body, 'output', 'expected_format');
  const gold = at(body, 'output', 'gold');
  if (errors.length > 0 || gold === undefined || (format !== 'text' && format !== 'structured_json'))
    return errors;
  const wanted = { expected_format: format, schema: at(body, 'output', 'schema') } as const;
  const problems = await deps.schemas.checkOutput(wanted, at(gold, 'output'), chargedTo(principal));
  return problems.map((one) => ({ pointer: `/output/gold/output${one.pointer}`, message: one.message }));
}

async function schemaErrors(deps: ApiDeps, body: unknown, principal: Principal): Promise<FieldError[]> {
  const format = at(body, 'output', 'expected_format');
  const schema = at(body, 'output', 'schema');
  if (format === 'text' && schema !== undefined)
    return [{ pointer: '/output/schema', message: 'is allowed only with structured_json' }];
  if (format === 'structured_json' && schema === undefined)
    return [{ pointer: '/output/schema', message: 'is required' }];
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return [];
  const problems = await deps.schemas.check(schema, chargedTo(principal));
  return problems.map((one) => ({ pointer: `/output/schema${one.pointer}`, message: one.message }));
}

/** The errors of the pool, workers and tasks that the requirements name. */
export async function referenceErrors(
  deps: ApiDeps,
  principal: KeyPrincipal,
  body: unknown,
): Promise<FieldError[]> {
  return [...(await poolErrors(deps, principal, body)), ...(await namedErrors(deps.db, principal, body))];
}

/** The error of a pool that does not exist. A pool that the key may not see is rejected later, whether it exists or not. */
async function poolErrors(deps: ApiDeps, principal: KeyPrincipal, body: unknown): Promise<FieldError[]> {
  const pool = at(body, 'requirements', 'worker_pool_id');
  if (typeof pool !== 'string' || !maySeePool(principal, pool)) return [];
  if (await hasPool(deps.db, principal.org_id, pool)) return [];
  return [NO_POOL];
}

function handoffInput(deps: ApiDeps, orgId: string, given: NonNullable<TaskCreate['handoff']>): Handoff {
  return {
    ...given,
    callback_auth: sealedAuth(deps, orgId, given.callback_auth ?? { type: 'none' }),
    retry_policy: {
      max_retries: given.retry_policy?.max_retries ?? 6,
      backoff_seconds: given.retry_policy?.backoff_seconds ?? 30,
    },
    events: given.events ?? [...DEFAULT_EVENT_TYPES],
  };
}

function sealedAuth(
  deps: ApiDeps,
  orgId: string,
  auth: NonNullable<NonNullable<TaskCreate['handoff']>['callback_auth']>,
): CallbackAuth {
  const context = callbackAuthContext(orgId);
  switch (auth.type) {
    case 'none':
      return { type: 'none' };
    case 'bearer':
      return { type: 'bearer', sealed: deps.sealer.seal(auth.token, context) };
    case 'basic': {
      const pair = Buffer.from(`${auth.username}:${auth.password}`).toString('base64');
      return { type: 'basic', sealed: deps.sealer.seal(pair, context) };
    }
  }
}

const NORMALISED = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** A valid time in the form of `timestamp`. Most are given in that form, which saves parsing them. */
export function normalised(time: string): string {
  return NORMALISED.test(time) ? time : timestamp(timeOf(time));
}
