// The page of one task. Which part is open stands in the address.

import type { Task } from '@biolayer/sdk';
import { useLocation, useSearch } from 'wouter';
import { isNotFound } from '../../shared/api/queries.tsx';
import { Badge, StatusBadge, UrgencyBadge } from '../../shared/ui/badge.tsx';
import { ButtonLink } from '../../shared/ui/button.tsx';
import { ConnectionBanner } from '../../shared/ui/connection.tsx';
import { EmptyState, Skeleton, type Tab, Tabs } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { useMember } from '../member.tsx';
import { useTasks, useTaskText } from '../messages.ts';
import { useConnection } from '../org-events.tsx';
import { hasScope } from '../session.ts';
import { Conversation } from './conversation.tsx';
import { Deliveries } from './deliveries.tsx';
import { MatchView } from './match-view.tsx';
import { TaskActions } from './task-actions.tsx';
import { TaskContent } from './task-content.tsx';
import { isFinal } from './task-facts.ts';
import { useTask } from './task-queries.ts';
import { TaskSide } from './task-side.tsx';
import { Timeline } from './timeline.tsx';
import './task-page.css';
import './tasks.css';

const PARTS = ['task', 'timeline', 'messages', 'deliveries', 'match', 'json'] as const;
type Part = (typeof PARTS)[number];

export function TaskPage({ id }: { id: string }) {
  const text = useTaskText();
  const { title } = useTasks();
  const { data, error, isError, refetch } = useTask(id);
  if (data !== undefined) return <Shown task={data} />;
  return (
    <Page title={title}>
      {!isError ? (
        <Skeleton lines={10} />
      ) : isNotFound(error) ? (
        <EmptyState
          icon="search"
          title={text.notFound.title}
          actions={<ButtonLink href="/console/tasks">{text.notFound.toTasks}</ButtonLink>}
        >
          {text.notFound.text}
        </EmptyState>
      ) : (
        <Problem error={error} onRetry={() => void refetch()} />
      )}
    </Page>
  );
}

function Shown({ task }: { task: Task }) {
  const text = useTaskText();
  const tasksText = useTasks();
  const member = useMember();
  const connection = useConnection();
  const [path, navigate] = useLocation();
  const search = useSearch();
  const tabs: Tab<Part>[] = PARTS.filter(
    (part) =>
      (part !== 'messages' || hasScope(member, 'messages:read')) &&
      (part !== 'deliveries' || hasScope(member, 'webhooks:read')),
  ).map((id) => ({
    id,
    label:
      id === 'messages' && task.unread_messages > 0 ? (
        <span className="row">
          {text.tabs[id]} <Badge tone="blue">{task.unread_messages}</Badge>
        </span>
      ) : (
        text.tabs[id]
      ),
  }));
  const wanted = new URLSearchParams(search).get('part');
  const part = tabs.find(({ id }) => id === wanted)?.id ?? 'task';
  const isOverdue = !isFinal(task) && task.sla.breaches.length > 0;
  return (
    <Page
      title={task.title}
      heading={
        <div className="task-heading">
          <h1>{task.title}</h1>
          <div className="row">
            <StatusBadge status={task.status} />
            <UrgencyBadge urgency={task.sla.urgency} />
            {isOverdue && <Badge tone="red">{tasksText.overdue}</Badge>}
            {task.open_question !== null && <Badge tone="amber">{tasksText.question}</Badge>}
          </div>
        </div>
      }
      actions={<TaskActions task={task} />}
    >
      <ConnectionBanner connection={connection} />
      <div className="task-page">
        <Tabs
          label={text.parts}
          tabs={tabs}
          current={part}
          onChange={(id) => navigate(id === 'task' ? path : `${path}?part=${id}`, { replace: true })}
        >
          <PartView part={part} task={task} />
        </Tabs>
        <TaskSide task={task} />
      </div>
    </Page>
  );
}

function PartView({ part, task }: { part: Part; task: Task }) {
  const text = useTaskText();
  switch (part) {
    case 'task':
      return <TaskContent task={task} />;
    case 'timeline':
      return <Timeline taskId={task.task_id} />;
    case 'messages':
      return <Conversation task={task} />;
    case 'deliveries':
      return <Deliveries taskId={task.task_id} />;
    case 'match':
      return <MatchView taskId={task.task_id} />;
    case 'json':
      return (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard.
        <section aria-label={text.json} tabIndex={0} className="task-json">
          <pre className="value-json">{JSON.stringify(task, null, 2)}</pre>
        </section>
      );
  }
}
