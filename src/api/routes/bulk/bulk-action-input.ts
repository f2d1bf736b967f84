// Turns the body of a request into a bulk action: checks rules that no schema can express, and reads the action and the chosen
// tasks.

import type { BulkAction, Selection, TaskAction } from '../../../state/bulk/bulk-action.ts';
import type { FieldError } from '../../../state/text/field-error.ts';
import type { BulkOrder } from '../../../store/bulk/bulk-actions.ts';
import { newId } from '../../../store/redis/ids.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import { invalid } from '../../http/problem.ts';
import { memberOf } from '../../http/validation.ts';
import type { RuleContext } from '../../route.ts';
import { taskPatch } from '../tasks/supervision.ts';
import { referenceErrors, timeErrors } from '../tasks/task-input.ts';
import type { BulkActionCreate } from './bulk-actions.schema.ts';

/** The rules beyond the schema that the body breaks. */
export async function bulkActionErrors(body: unknown, context: RuleContext): Promise<FieldError[]> {
  return [...selectionErrors(body), ...feedbackErrors(body), ...(await changesErrors(body, context))];
}

/** What the body asks for. */
export function taskAction(body: BulkActionCreate): TaskAction {
  switch (body.action) {
    case 'cancel':
      return { action: body.action, reason: body.reason ?? null };
    case 'requeue':
      return { action: body.action, reason: body.reason };
    case 'update':
      return { action: body.action, changes: taskPatch(body.changes) };
    default:
      return { action: body.action, feedback: body.feedback ?? null, rating: body.rating ?? null };
  }
}

/** The chosen tasks. UUIDs are stored in lower case. @throws ApiError 422 */
export function selectionOf({ filter, task_ids }: BulkActionCreate): Selection {
  if (filter !== undefined) return { filter };
  if (task_ids === undefined) throw invalid({ pointer: '/filter', message: 'is required, or else task_ids' });
  return { task_ids: task_ids.map((id) => id.toLowerCase()) };
}

function selectionErrors(body: unknown): FieldError[] {
  const [filter, ids] = [memberOf(body, 'filter'), memberOf(body, 'task_ids')];
  if (filter !== undefined && ids !== undefined)
    return [{ pointer: '/task_ids', message: 'is not allowed together with filter' }];
  if (!Array.isArray(ids)) return [];
  const seen = new Set<string>();
  const errors: FieldError[] = [];
  for (const [index, id] of ids.entries()) {
    const name = String(id).toLowerCase();
    if (seen.has(name)) errors.push({ pointer: `/task_ids/${index}`, message: 'is given twice' });
    seen.add(name);
  }
  return errors;
}

/** A worker whose work is rejected must learn why. */
function feedbackErrors(body: unknown): FieldError[] {
  const feedback = memberOf(body, 'feedback');
  return memberOf(body, 'action') === 'reject' && typeof feedback === 'string' && feedback.trim() === ''
    ? [{ pointer: '/feedback', message: 'is required when tasks are rejected' }]
    : [];
}

/** The errors of an update, with pointers into the body. */
async function changesErrors(body: unknown, { deps, principal }: RuleContext): Promise<FieldError[]> {
  const changes = memberOf(body, 'changes');
  if (typeof changes !== 'object' || changes === null) return [];
  if (Object.keys(changes).length === 0) return [{ pointer: '/changes', message: 'must not be empty' }];
  const errors = [
    ...timeErrors(changes, deps.db.clock.now()),
    ...(principal.kind === 'api_key' ? await referenceErrors(deps, principal, changes) : []),
  ];
  return errors.map((one) => ({ ...one, pointer: `/changes${one.pointer}` }));
}

/** A bulk action that has not started. @param now ms. */
export function newBulkAction(
  { org_id, pools }: KeyPrincipal,
  { task_action, selection }: BulkOrder,
  actor: string,
  now: number,
): BulkAction {
  return {
    bulk_action_id: newId(now),
    org_id,
    version: 1,
    action: task_action.action,
    status: 'pending',
    reason: null,
    pools,
    cursor: null,
    total: 'task_ids' in selection ? selection.task_ids.length : null,
    matched: 0,
    done: 0,
    failed: 0,
    skipped: 0,
    created_by: actor,
    created_at: now,
    updated_at: now,
    finished_at: null,
  };
}
