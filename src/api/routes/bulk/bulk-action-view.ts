// The public JSON of a bulk action.

import type { BulkAction, BulkFailure } from '../../../state/bulk/bulk-action.ts';
import { timestamp } from '../../../state/text/time.ts';
import { type BulkOrder, loadFailures, loadOrder } from '../../../store/bulk/bulk-actions.ts';
import type { Db } from '../../../store/redis/connection.ts';

/** As it is shown in lists. */
export function bulkActionView(bulk: BulkAction): object {
  const { finished_at } = bulk;
  return {
    bulk_action_id: bulk.bulk_action_id,
    action: bulk.action,
    status: bulk.status,
    reason: bulk.reason,
    total: bulk.total,
    matched: bulk.matched,
    done: bulk.done,
    failed: bulk.failed,
    skipped: bulk.skipped,
    created_by: bulk.created_by,
    created_at: timestamp(bulk.created_at),
    updated_at: timestamp(bulk.updated_at),
    finished_at: finished_at === null ? null : timestamp(finished_at),
  };
}

/** With what it does, and the first tasks that refused. */
export function detailView(bulk: BulkAction, order: BulkOrder, failures: readonly BulkFailure[]): object {
  const { action: _action, ...parameters } = order.task_action;
  const filter = 'filter' in order.selection ? order.selection.filter : null;
  return { ...bulkActionView(bulk), filter, parameters, failures };
}

/** `detailView` with what it needs from the store. */
export async function loadedView(db: Db, bulk: BulkAction): Promise<object> {
  const [order, failures] = await Promise.all([loadOrder(db, bulk), loadFailures(db, bulk)]);
  return detailView(bulk, order, failures);
}
