// The facts of a task, beside its content.

import type { Task } from '@biolayer/sdk';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { useNow } from '../../shared/time/now.ts';
import { StatusBadge, UrgencyBadge } from '../../shared/ui/badge.tsx';
import { Card, Facts } from '../../shared/ui/containers.tsx';
import { useTasks, useTaskText } from '../messages.ts';
import { usePoolName, useWorkerName } from '../people.ts';

export function TaskSide({ task }: { task: Task }) {
  const { facts: text, requirementNames, request } = useTaskText();
  const { columns } = useTasks();
  const format = useFormat();
  const workerName = useWorkerName();
  const poolName = usePoolName();
  useNow(30_000);
  const { assignment, sla, origin, requirements = {}, metadata = {} } = task;
  const { worker_pool_id, ...others } = requirements;
  const time = (at: string | null | undefined) =>
    at && (
      <time dateTime={at} title={format.dateTime(at)}>
        {format.relative(at)}
      </time>
    );
  const names: Partial<Record<string, string>> = requirementNames;
  const required = Object.entries(others).filter(([name]) => name in names);
  return (
    <aside className="stack" aria-label={text.title}>
      <Card title={text.title}>
        <Facts
          facts={[
            [columns.status, <StatusBadge key="status" status={task.status} />],
            [columns.urgency, <UrgencyBadge key="urgency" urgency={sla.urgency} />],
            [text.worker, assignment === null ? text.nobody : workerName(assignment.worker_id)],
            [text.pool, worker_pool_id === undefined ? text.anyPool : poolName(worker_pool_id)],
            [
              text.deadline,
              sla.deadline && (
                <span key="deadline">
                  {format.dateTime(sla.deadline)}, {time(sla.deadline)}
                </span>
              ),
            ],
            [text.latency, sla.target_latency_seconds && format.duration(sla.target_latency_seconds * 1000)],
            ...sla.breaches.map(
              ({ clock, breached_at }) =>
                [
                  '⚠',
                  <strong key={clock} className="task-breach">
                    {text.breached(text.clocks[clock], format.relative(breached_at))}
                  </strong>,
                ] as const,
            ),
            [text.created, time(task.created_at)],
            [text.notBefore, task.not_before && format.dateTime(task.not_before)],
            [text.accepted, time(assignment?.accepted_at)],
            [text.started, time(assignment?.started_at)],
            [text.submitted, time(assignment?.submitted_at)],
            [text.completed, time(task.completed_at)],
            [text.attempt, format.number(task.attempt)],
            [text.review, text.reviewModes[task.output.review?.mode ?? 'auto']],
            [text.domain, task.domain],
            [text.type, task.task_type],
            [text.product, origin.product],
            [text.requestId, origin.request_id],
            [text.callback, task.handoff?.callback_url],
            [text.id, <code key="id">{task.task_id}</code>],
          ]}
        />
      </Card>
      {required.length > 0 && (
        <Card title={request.requirements}>
          <Facts
            facts={required.map(
              ([name, value]) =>
                [
                  names[name] ?? name,
                  Array.isArray(value) ? format.list(value.map(String)) : String(value),
                ] as const,
            )}
          />
        </Card>
      )}
      {Object.keys(metadata).length > 0 && (
        <Card title={text.metadata}>
          <Facts facts={Object.entries(metadata)} />
        </Card>
      )}
    </aside>
  );
}
