// The tasks of one page as a table; on phones, each task in two lines.

import type { Task } from '@biolayer/sdk';
import { Link } from 'wouter';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { useNow } from '../../shared/time/now.ts';
import { Badge, StatusBadge, UrgencyBadge } from '../../shared/ui/badge.tsx';
import { Table } from '../../shared/ui/containers.tsx';
import { useTasks } from '../messages.ts';
import { usePoolName, useWorkerName } from '../people.ts';
import type { Selection } from './selection.ts';
import { dueAt, isFinal } from './task-facts.ts';

/** Times are renewed this often, ms. */
const TICK = 30_000;

export function TaskTable({
  tasks,
  selection,
  isOld,
}: {
  tasks: readonly Task[];
  selection: Selection;
  /** Whether the tasks are those of another page, until this one is loaded. */
  isOld: boolean;
}) {
  const text = useTasks();
  const { columns } = text;
  const workerName = useWorkerName();
  const poolName = usePoolName();
  useNow(TICK);
  const isWhole = tasks.every(({ task_id }) => selection.ids.has(task_id));
  return (
    <div className={isOld ? 'task-table is-old' : 'task-table'} aria-busy={isOld}>
      <Table label={text.table}>
        <thead>
          <tr>
            <th className="cell-check">
              <input
                type="checkbox"
                aria-label={text.selectPage}
                checked={isWhole}
                onChange={() => selection.togglePage(tasks)}
              />
            </th>
            <th>{columns.task}</th>
            <th>{columns.status}</th>
            <th className="cell-more">{columns.urgency}</th>
            <th className="cell-more">{columns.pool}</th>
            <th className="cell-more">{columns.worker}</th>
            <th className="cell-more">{columns.due}</th>
            <th className="cell-more">{columns.created}</th>
          </tr>
        </thead>
        <tbody>
          {tasks.map((task) => {
            const pool = task.requirements?.worker_pool_id;
            return (
              <Row
                key={task.task_id}
                task={task}
                pool={pool === undefined ? '' : poolName(pool)}
                worker={task.assignment === null ? '' : workerName(task.assignment.worker_id)}
                isSelected={selection.ids.has(task.task_id)}
                onToggle={selection.toggle}
              />
            );
          })}
        </tbody>
      </Table>
    </div>
  );
}

function Row({
  task,
  pool,
  worker,
  isSelected,
  onToggle,
}: {
  task: Task;
  pool: string;
  worker: string;
  isSelected: boolean;
  onToggle: (id: string) => void;
}) {
  const text = useTasks();
  const shared = useShared();
  const format = useFormat();
  const due = dueAt(task);
  const isOverdue = !isFinal(task) && task.sla.breaches.length > 0;
  return (
    <tr aria-selected={isSelected}>
      <td className="cell-check">
        <input
          type="checkbox"
          aria-label={text.select(task.title)}
          checked={isSelected}
          onChange={() => onToggle(task.task_id)}
        />
      </td>
      <td className="cell-task">
        <Link href={`/console/tasks/${task.task_id}`} className="task-link">
          {task.title}
        </Link>
        <span className="task-kind muted">
          {task.domain} · {task.task_type}
          <span className="cell-less"> · {shared.urgency[task.sla.urgency]}</span>
        </span>
      </td>
      <td>
        <span className="row">
          <StatusBadge status={task.status} />
          {isOverdue && <Badge tone="red">{text.overdue}</Badge>}
          {task.open_question !== null && <Badge tone="amber">{text.question}</Badge>}
        </span>
      </td>
      <td className="cell-more">
        <UrgencyBadge urgency={task.sla.urgency} />
      </td>
      <td className="cell-more">{pool}</td>
      <td className="cell-more">{worker}</td>
      <td className="cell-more numeric">
        {due !== null && !isFinal(task) && (
          <time dateTime={due} title={format.dateTime(due)}>
            {format.relative(due)}
          </time>
        )}
      </td>
      <td className="cell-more numeric">
        <time dateTime={task.created_at} title={format.dateTime(task.created_at)}>
          {format.relative(task.created_at)}
        </time>
      </td>
    </tr>
  );
}
