// Bulk actions: one change for many tasks. A route creates or cancels a bulk action; the processors run it.

import { newAuditEvent } from '../../../state/audit/audit.ts';
import {
  ACTION_SCOPES,
  type BulkAction,
  MAX_RUNNING,
  type TaskAction,
} from '../../../state/bulk/bulk-action.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import {
  BULK_ACTIONS,
  type BulkOrder,
  bulkActionsRunning,
  createWrites,
  endWrites,
  loadBulkAction,
  loadBulkActions,
  oldBulkActions,
} from '../../../store/bulk/bulk-actions.ts';
import { countTasks } from '../../../store/bulk/bulk-step.ts';
import { merge } from '../../../store/redis/commit.ts';
import type { Db } from '../../../store/redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { maySee } from '../../access/grants.ts';
import { type KeyPrincipal, maySeePool } from '../../access/principal.ts';
import { listPage } from '../../http/list.ts';
import { ApiError, notFound } from '../../http/problem.ts';
import { closed, PageQuery, pageOf } from '../../http/schemas.ts';
import { anyScope, route } from '../../route.ts';
import { cancelRun } from '../runs/cancel-run.ts';
import { bulkActionErrors, newBulkAction, selectionOf, taskAction } from './bulk-action-input.ts';
import { bulkActionView, detailView, loadedView } from './bulk-action-view.ts';
import { BulkActionCreate, BulkActionParams, BulkActionView, BulkPreview } from './bulk-actions.schema.ts';

const ACCESS = anyScope('tasks:cancel', 'tasks:assign', 'tasks:update', 'tasks:review');
const BULK_ACTION = { 200: { description: 'The bulk action', schema: BulkActionView } };

export const bulkActionRoutes = [
  route({
    method: 'POST',
    path: '/v1/bulk-actions',
    access: ACCESS,
    tag: 'Bulk actions',
    operationId: 'createBulkAction',
    summary: 'Change many tasks',
    description:
      'Cancels, requeues, updates, approves or rejects tasks in the background, each as the request for this task alone would, and requires the scope of that request. With `dry_run`, only counts the tasks.',
    body: BulkActionCreate,
    admit: ({ action }, principal) => requireScope(principal, action),
    rules: bulkActionErrors,
    responses: {
      200: { description: 'With dry_run: how many tasks', schema: BulkPreview },
      202: { description: 'The bulk action has been created', schema: BulkActionView, headers: ['Location'] },
    },
    async handler({ deps, principal, actor, body, signal, recordResponse, credentialGuards }) {
      const { db } = deps;
      const { org_id, authority, pools } = principal;
      const task_action = taskAction(body);
      requireOwnPool(principal, task_action);
      const selection = selectionOf(body);
      if (body.dry_run === true) {
        const { matched, isExact } = await countTasks(db, org_id, selection, pools, signal());
        return { status: 200, body: { matched, is_exact: isExact } };
      }
      const order: BulkOrder = { task_action, selection, authority };
      return updateWithRetry('bulk actions of the org', async () => {
        const callerGuards = await credentialGuards();
        if ((await bulkActionsRunning(db, org_id)) >= MAX_RUNNING)
          throw new ApiError('quota_exceeded', `At most ${MAX_RUNNING} bulk actions run at the same time.`, {
            quota: 'running_bulk_actions',
          });
        const old = await oldBulkActions(db, org_id);
        const bulk = newBulkAction(principal, order, actor, db.clock.now());
        const { bulk_action_id } = bulk;
        const headers = { Location: `/v1/bulk-actions/${bulk_action_id}` };
        const response = { status: 202, body: detailView(bulk, order, []), headers };
        const { action, ...parameters } = task_action;
        const tasks = 'filter' in selection ? selection : { tasks: selection.task_ids.length };
        const auditEvent = {
          ...newAuditEvent(actor, 'bulk_action.created', 'bulk_action', bulk_action_id),
          data: { action, ...tasks, parameters },
        };
        const whole = merge(callerGuards, createWrites(db, bulk, order, old), recordResponse(response));
        return (await commitAudited(db, org_id, auditEvent, whole)) ? response : CONFLICT;
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/bulk-actions',
    access: ACCESS,
    tag: 'Bulk actions',
    operationId: 'listBulkActions',
    summary: 'List bulk actions',
    description:
      'Those whose scope and pools the credential has, kept for 30 days and at most 100 of the org.',
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of bulk actions', schema: pageOf(BulkActionView) } },
    handler({ deps: { db }, principal, query }) {
      const { org_id } = principal;
      return listPage(db, query, {
        indexes: [orgKeysOf(db.prefix, org_id).index(BULK_ACTIONS)],
        boundTo: ['bulk_actions', org_id],
        load: async (ids) =>
          (await loadBulkActions(db, org_id, ids)).map((one) =>
            one !== null && isVisible(principal, one) ? one : null,
          ),
        show: (all) => all.map(bulkActionView),
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/bulk-actions/{bulk_action_id}',
    access: ACCESS,
    tag: 'Bulk actions',
    operationId: 'getBulkAction',
    summary: 'Retrieve a bulk action with its progress',
    description: 'With the first 100 tasks that refused the change.',
    params: BulkActionParams,
    responses: BULK_ACTION,
    async handler({ deps: { db }, principal, params }) {
      const bulk = await visibleBulkAction(db, principal, params.bulk_action_id);
      return { status: 200, body: await loadedView(db, bulk) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/bulk-actions/{bulk_action_id}/cancel',
    access: ACCESS,
    versioned: true,
    tag: 'Bulk actions',
    operationId: 'cancelBulkAction',
    summary: 'Cancel a bulk action',
    description: 'No further task is changed from then on; tasks that were changed stay as they are.',
    params: BulkActionParams,
    body: closed({}),
    bodyOptional: true,
    responses: BULK_ACTION,
    errors: ['invalid_transition'],
    handler: (call) =>
      cancelRun(call, {
        noun: 'bulk action',
        load: () => visibleBulkAction(call.deps.db, call.principal, call.params.bulk_action_id),
        endWrites,
        auditEvent: ({ bulk_action_id, matched, done }) => ({
          ...newAuditEvent(call.actor, 'bulk_action.cancelled', 'bulk_action', bulk_action_id),
          data: { matched, done },
        }),
        view: (after) => loadedView(call.deps.db, after),
      }),
  }),
];

/** @throws ApiError 403 */
function requireScope(principal: KeyPrincipal, action: BulkAction['action']): void {
  if (!hasScope(principal, action))
    throw new ApiError('insufficient_scope', `The key lacks the scope ${ACTION_SCOPES[action]}.`);
}

function hasScope({ scopes }: KeyPrincipal, action: BulkAction['action']): boolean {
  return scopes.includes('*') || scopes.includes(ACTION_SCOPES[action]);
}

function isVisible(principal: KeyPrincipal, bulk: BulkAction): boolean {
  return hasScope(principal, bulk.action) && maySee(principal, bulk);
}

/** @throws ApiError 404 */
async function visibleBulkAction(db: Db, principal: KeyPrincipal, id: string): Promise<BulkAction> {
  const bulk = await loadBulkAction(db, principal.org_id, id);
  if (bulk === null || !isVisible(principal, bulk)) throw notFound();
  return bulk;
}

/** Requires that the key may see the pool to which an update moves tasks. @throws ApiError 403 */
function requireOwnPool(principal: KeyPrincipal, action: TaskAction): void {
  const pool = action.action === 'update' ? action.changes.requirements?.worker_pool_id : undefined;
  if (typeof pool === 'string' && !maySeePool(principal, pool))
    throw new ApiError('pool_forbidden', 'The key may move tasks only to its own pools.');
}
