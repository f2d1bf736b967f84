// Task types: named defaults of tasks, whose every change is a new version.

import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { newAuditEvent } from '../../../state/audit/audit.ts';
import { atMost } from '../../../state/cache-entries.ts';
import { MAX_VERSIONS, type TaskType } from '../../../state/tasks/task-type.ts';
import { isSame } from '../../../state/text/same.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { taskTypesSince, taskTypesWrites } from '../../../store/identity/orgs.ts';
import { type Change, EMPTY_CHANGE, merge } from '../../../store/redis/commit.ts';
import type { Db } from '../../../store/redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { memberId } from '../../../store/redis/lists.ts';
import { loadTaskType, loadTaskTypes, taskTypeWrites } from '../../../store/tasks/task-types.ts';
import { RULES_CACHE_MS } from '../../access/org-rules.ts';
import type { KeyPrincipal, Principal } from '../../access/principal.ts';
import { quotaExceeded } from '../../access/usage.ts';
import type { ApiDeps } from '../../deps.ts';
import { requireVersion } from '../../http/etag.ts';
import { listPage } from '../../http/list.ts';
import { ApiError, type FieldError, notFound } from '../../http/problem.ts';
import { closed, PageQuery, pageOf } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { goldErrors } from './gold-validation.ts';
import { TaskDefaults } from './task-input.schema.ts';
import { taskRules } from './task-input.ts';
import { contentOf, Params, TypeView, typeResponse, typeView } from './task-type-view.ts';

export const taskTypeRoutes = [
  route({
    method: 'GET',
    path: '/v1/task-types',
    access: scope('types:read'),
    tag: 'Task types',
    operationId: 'listTaskTypes',
    summary: 'List task types',
    description: 'Each task type is shown with its newest version.',
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of task types', schema: pageOf(TypeView) } },
    handler({ deps: { db }, principal, query }) {
      const { org_id } = principal;
      return listPage(db, query, {
        indexes: [orgKeysOf(db.prefix, org_id).index('task_types')],
        boundTo: ['task_types', org_id],
        load: async (members) =>
          (await loadTaskTypes(db, org_id, members.map(memberId))).map((type) =>
            type?.retired ? null : type,
          ),
        show: (types) => types.map((type) => typeView(type.name, type)),
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/task-types/{name}',
    access: scope('types:read'),
    tag: 'Task types',
    operationId: 'getTaskType',
    summary: 'Retrieve a task type',
    description: 'Shows the newest version of a task type. A retired one is not found.',
    params: Params,
    responses: { 200: { description: 'The task type', schema: TypeView, headers: ['ETag'] } },
    handler: async ({ deps, principal, params }) =>
      typeResponse(await registered(deps, principal, params.name)),
  }),
  route({
    method: 'PUT',
    path: '/v1/task-types/{name}',
    access: scope('types:write'),
    versioned: true,
    tag: 'Task types',
    adds: true,
    operationId: 'saveTaskType',
    summary: 'Register or update a task type',
    description: 'Makes the first or the next version of a task type. Earlier versions stay as they are.',
    params: Params,
    body: TaskDefaults,
    bodyLimits: { bytes: 128 * 1024, names: 2000, levels: 34 },
    admit: (_body, principal) => requireUnconfined(principal),
    rules: defaultsRules,
    responses: {
      200: {
        description: 'The task type, with a new version unless nothing differs',
        schema: TypeView,
        headers: ['ETag'],
      },
      201: { description: 'The task type, registered', schema: TypeView, headers: ['ETag', 'Location'] },
    },
    errors: ['quota_exceeded'],
    async handler({ deps, principal, params, body, ifMatch, actor, recordResponse, credentialGuards }) {
      const { db } = deps;
      const { org_id } = principal;
      const { name } = params;
      return updateWithRetry('task type', async () => {
        const callerGuards = await credentialGuards();
        const before = await loadTaskType(db, org_id, name);
        const current = before === null || before.retired ? null : before;
        requireVersion(current?.number ?? 0, ifMatch);
        const { gold_rate, gold_tasks, ...defaults } = body;
        const gold = gold_rate !== undefined && gold_tasks && { rate: gold_rate, tasks: gold_tasks };
        if (current !== null && isSame(contentOf(current), body)) {
          await untilKnown(deps, org_id);
          return typeResponse(current);
        }
        const now = db.clock.now();
        const after: TaskType = {
          name,
          org_id,
          version: (before?.version ?? 0) + 1,
          number: (before?.number ?? 0) + 1,
          defaults,
          ...(gold && { gold }),
          retired: false,
          registered_at: before?.registered_at ?? now,
          created_at: now,
          created_by: actor,
        };
        if (after.number > MAX_VERSIONS)
          throw quotaExceeded(
            'task_type_versions',
            `The task type ${name}`,
            'versions',
            MAX_VERSIONS,
            MAX_VERSIONS,
          );
        const response = typeResponse(after, current === null ? 201 : 200);
        const change = merge(
          callerGuards,
          before === null ? await deps.usage.quotaGuards(org_id, 'task_types') : EMPTY_CHANGE,
          await deps.usage.taskTypeBytes(org_id, Buffer.byteLength(JSON.stringify(body))),
          await taskTypesWrites(db, org_id, now),
          taskTypeWrites(db, before, after),
          recordResponse(response),
        );
        const action = current === null ? 'task_type.registered' : 'task_type.updated';
        if (!(await audited(deps, principal, actor, action, after, change))) return CONFLICT;
        deps.forgetOrg(org_id);
        await untilKnown(deps, org_id);
        return response;
      });
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/task-types/{name}',
    access: scope('types:write'),
    versioned: true,
    tag: 'Task types',
    operationId: 'retireTaskType',
    summary: 'Retire a task type',
    description: 'The name is free text again for new tasks. The versions are kept and can still be read.',
    params: Params,
    admit: (_body, principal) => requireUnconfined(principal),
    responses: { 204: { description: 'Retired' } },
    async handler({ deps, principal, params, ifMatch, actor, credentialGuards }) {
      return updateWithRetry('task type', async () => {
        const callerGuards = await credentialGuards();
        const before = await registered(deps, principal, params.name);
        requireVersion(before.number, ifMatch);
        const after = { ...before, version: before.version + 1, retired: true };
        const change = merge(callerGuards, taskTypeWrites(deps.db, before, after));
        if (await audited(deps, principal, actor, 'task_type.retired', after, change)) return { status: 204 };
        return CONFLICT;
      });
    },
  }),
];

/** Errors of defaults. What a task may add is not required of its type. */
async function defaultsRules(
  body: unknown,
  context: { deps: ApiDeps; principal: Principal },
): Promise<FieldError[]> {
  const errors = await taskRules(body, context);
  const isLeftToTask = ({ pointer, message }: FieldError) =>
    (pointer === '/output/schema' && message === 'is required') ||
    (pointer === '/sla/on_deadline' && message === 'requires sla.deadline');
  const own = errors.filter((one) => !isLeftToTask(one));
  return [...own, ...(await goldErrors(context, body, own.length === 0))];
}

/** Task types are the whole org's. @throws ApiError 403 `pool_forbidden` */
function requireUnconfined({ pools }: KeyPrincipal): void {
  if (!pools.includes('*'))
    throw new ApiError('pool_forbidden', 'A key that is confined to pools may not change task types.');
}

async function registered(deps: ApiDeps, { org_id }: KeyPrincipal, name: string): Promise<TaskType> {
  const type = await loadTaskType(deps.db, org_id, name);
  if (type === null || type.retired) throw notFound();
  return type;
}

function audited(
  deps: ApiDeps,
  { org_id }: KeyPrincipal,
  actor: string,
  action: 'task_type.registered' | 'task_type.updated' | 'task_type.retired',
  { name, number }: TaskType,
  change: Change,
): Promise<boolean> {
  const event = { ...newAuditEvent(actor, action, 'task_type', name), data: { version: number } };
  return commitAudited(deps.db, org_id, event, change);
}

/** When this process first saw that a tenant has task types, by the monotonic clock, ms. */
const seen = new WeakMap<Db, LRUCache<string, number>>();
/** Longer than any commit takes. */
const TASK_TYPES_KNOWN_AFTER_MS = 60_000;

/**
 * Waits until every process knows that the tenant has task types, so that the next create anywhere uses them: they cache
 * the org's rules for `RULES_CACHE_MS`. Only the first answers after a tenant's first registration wait.
 */
async function untilKnown({ db }: ApiDeps, tenantId: string): Promise<void> {
  const since = await taskTypesSince(db, tenantId);
  if (since === null || db.clock.now() - since > TASK_TYPES_KNOWN_AFTER_MS) return;
  const times = seen.get(db) ?? new LRUCache<string, number>(atMost(10_000));
  seen.set(db, times);
  const first = times.get(tenantId) ?? performance.now();
  times.set(tenantId, first);
  const left = first + RULES_CACHE_MS - performance.now();
  if (left > 0) await sleep(left);
}
