// The tasks of a worker: what they have now, and what they had when it ended.

import type { Task, TaskStatus } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { Loaded } from '../../shared/api/loaded.tsx';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { StatusBadge, UrgencyBadge } from '../../shared/ui/badge.tsx';
import { Table } from '../../shared/ui/containers.tsx';
import { useConsoleWorkers } from '../messages.ts';

const OPEN: TaskStatus[] = ['matched', 'offered', 'accepted', 'started', 'submitted', 'verified'];
const ENDED: TaskStatus[] = ['completed', 'failed', 'cancelled'];
const REFRESH = 10_000;
const MOST_RECENT = 10;

/** Tasks that a worker has at the moment; offers count too. */
export function CurrentTasks({ workerId }: { workerId: string }) {
  const text = useConsoleWorkers();
  return <TaskTable workerId={workerId} status={OPEN} limit={100} label={text.now} empty={text.noCurrent} />;
}

/** Tasks that the worker had when they ended. */
export function RecentTasks({ workerId }: { workerId: string }) {
  const text = useConsoleWorkers();
  return (
    <>
      <TaskTable
        workerId={workerId}
        status={ENDED}
        limit={MOST_RECENT}
        label={text.recent}
        empty={text.noRecent}
      />
      <p className="small">
        <Link href={`/console/tasks?assigned_to=${encodeURIComponent(workerId)}`}>{text.allTasks}</Link>
      </p>
    </>
  );
}

function TaskTable({
  workerId,
  status,
  limit,
  label,
  empty,
}: {
  workerId: string;
  status: TaskStatus[];
  limit: number;
  label: string;
  empty: string;
}) {
  const query = useQuery({
    queryKey: ['tasks', 'of-worker', workerId, status, limit],
    queryFn: async () => (await api.tasks.list({ assigned_to: [workerId], status, limit })).data,
    refetchInterval: REFRESH,
  });
  return (
    <Loaded query={query} lines={2}>
      {(tasks) =>
        tasks.length === 0 ? <p className="muted">{empty}</p> : <Tasks tasks={tasks} label={label} />
      }
    </Loaded>
  );
}

export function Tasks({ tasks, label }: { tasks: readonly Task[]; label: string }) {
  const text = useConsoleWorkers();
  const format = useFormat();
  return (
    <Table label={label}>
      <thead>
        <tr>
          <th scope="col">{text.task}</th>
          <th scope="col">{text.status}</th>
          <th scope="col" className="wide-only">
            {text.urgency}
          </th>
          <th scope="col" className="wide-only">
            {text.updated}
          </th>
        </tr>
      </thead>
      <tbody>
        {tasks.map((task) => (
          <tr key={task.task_id}>
            <th scope="row">
              <Link href={`/console/tasks/${task.task_id}`}>{task.title}</Link>
            </th>
            <td>
              <StatusBadge status={task.status} />
            </td>
            <td className="wide-only">
              <UrgencyBadge urgency={task.sla.urgency} />
            </td>
            <td className="wide-only">{format.relative(task.updated_at)}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
