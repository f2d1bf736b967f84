// A worker's pending offers with their tasks. The index names the tasks; the offers are read from them.

import type { Offer } from '../../state/tasks/offer.ts';
import type { Task } from '../../state/tasks/task.ts';
import type { Db } from '../redis/connection.ts';
import { openOffers } from './offers.ts';
import { loadTasks } from './tasks.ts';

/** The worker's offers that can be accepted or declined now, with their tasks. */
export async function pendingOffers(
  db: Db,
  orgId: string,
  workerId: string,
): Promise<{ task: Task; offer: Offer }[]> {
  const now = db.clock.now();
  const open = await openOffers(db, orgId, workerId, now);
  const ids = open.map((one) => one.task_id);
  const stored = ids.length === 0 ? [] : await loadTasks(db, orgId, ids);
  return open.flatMap(({ offer_id }, index) => {
    const task = stored[index]?.task;
    const offer = task?.offers.find((one) => one.offer_id === offer_id && one.status === 'pending');
    return task !== undefined && offer !== undefined && offer.expires_at > now ? [{ task, offer }] : [];
  });
}
