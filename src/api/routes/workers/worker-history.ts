// What the calling worker has done: tasks that they have submitted or that ended with them, with ratings and feedback.

import Type from 'typebox';
import { isFinal } from '../../../state/tasks/lifecycle.ts';
import type { Task } from '../../../state/tasks/task.ts';
import { workerHistoryView } from '../../../state/tasks/view.ts';
import { workerHistory } from '../../../store/tasks/worker-history.ts';
import { isOwnTask, ownWorker } from '../../access/own-task.ts';
import { DEFAULT_LIMIT, listResponse, listScope, readCursor } from '../../http/list.ts';
import { closed, nullable, PageQuery, pageOf, time } from '../../http/schemas.ts';
import { route } from '../../route.ts';
import { TaskFailure } from '../tasks/task-result.schema.ts';
import { WorkerTask } from './worker-task.schema.ts';

const WorkedTask = Type.Object(
  {
    ...WorkerTask.properties,
    rating: nullable(
      Type.Integer({
        minimum: 1,
        maximum: 5,
        description: 'How a reviewer rated the work; null when none did',
      }),
    ),
    failure: nullable(TaskFailure, 'Why the task failed; null when it has not'),
    completed_at: nullable(time('When the task ended; null before')),
  },
  { $id: 'WorkedTask', description: 'A task in the history of its worker' },
);

export const workerHistoryRoutes = [
  route({
    method: 'GET',
    path: '/v1/worker/history',
    access: { kind: 'worker' },
    tag: 'Worker',
    operationId: 'listWorkedTasks',
    summary: 'List what I have done',
    description:
      'Tasks that I have submitted, and those that ended while they were mine, by creation; until they are purged.',
    query: closed(PageQuery),
    responses: { 200: { description: 'The tasks', schema: pageOf(WorkedTask) } },
    async handler({ deps: { db }, principal, query, signal }) {
      const { worker_id } = await ownWorker(db, principal);
      const { limit = DEFAULT_LIMIT, cursor, order = 'desc' } = query;
      const { org_id } = principal;
      const scope = listScope('worker-history', org_id, worker_id, order);
      const range = { order, after: readCursor(scope, cursor), from: null, to: null };
      const isShown = (task: Task) => isOwnTask(task, principal) && isDone(task);
      const { items, next } = await workerHistory(db, org_id, worker_id, range, limit, isShown, signal());
      return listResponse(items.map(workerHistoryView), scope, next);
    },
  }),
];

/** Whether there is nothing for the worker to do, unless a reviewer sends the task back. */
function isDone({ status }: Task): boolean {
  return isFinal(status) || status === 'submitted' || status === 'verified';
}
