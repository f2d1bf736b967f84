// The review page: one task at a time that waits for a decision, the longest wait first. What was asked stands beside what was
// handed in. The task in the address stays until it is decided, so that nothing changes under the reviewer's hands.

import type { Task } from '@biolayer/sdk';
import { useEffect } from 'react';
import { useLocation, useSearch } from 'wouter';
import { isNotFound } from '../../shared/api/queries.tsx';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { UrgencyBadge } from '../../shared/ui/badge.tsx';
import { Button, ButtonLink } from '../../shared/ui/button.tsx';
import { ConnectionBanner } from '../../shared/ui/connection.tsx';
import { Banner, Card, EmptyState, Skeleton } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { Key, useShortcuts } from '../../shared/ui/shortcuts.tsx';
import { useConsole, useReview, useTaskText } from '../messages.ts';
import { useConnection } from '../org-events.tsx';
import { useWorkerName } from '../people.ts';
import { SubmissionView } from '../submission/submission-view.tsx';
import { TaskActions } from '../tasks/task-actions.tsx';
import { isDisputed, isInReview, isReported } from '../tasks/task-facts.ts';
import { useTask } from '../tasks/task-queries.ts';
import { TaskRequest } from '../tasks/task-request.tsx';
import { DecisionForm } from './decision-form.tsx';
import { leaveQueue, QUEUE_SIZE, useReviewQueue, waitsSince } from './review-queue.ts';
import '../tasks/task-page.css';
import './review.css';

const PATH = '/console/review';

export default function ReviewPage() {
  const title = useConsole().nav.review;
  const text = useReview();
  const connection = useConnection();
  const queue = useReviewQueue();
  const [, navigate] = useLocation();
  const chosen = new URLSearchParams(useSearch()).get('task');
  const first = queue.data?.tasks[0]?.task_id;
  useEffect(() => {
    if (chosen === null && first !== undefined) navigate(addressOf(first), { replace: true });
  }, [chosen, first, navigate]);
  if (chosen !== null) return <Chosen key={chosen} id={chosen} tasks={queue.data?.tasks ?? []} />;
  return (
    <Page title={title}>
      <ConnectionBanner connection={connection} />
      {queue.isError ? (
        <Problem error={queue.error} onRetry={() => void queue.refetch()} />
      ) : queue.data?.tasks.length === 0 ? (
        <EmptyState icon="check" title={text.empty.title}>
          {text.empty.text}
        </EmptyState>
      ) : (
        <Skeleton lines={10} />
      )}
    </Page>
  );
}

function addressOf(taskId: string | undefined): string {
  return taskId === undefined ? PATH : `${PATH}?task=${taskId}`;
}

function Chosen({ id, tasks }: { id: string; tasks: readonly Task[] }) {
  const text = useReview();
  const title = useConsole().nav.review;
  const format = useFormat();
  const connection = useConnection();
  const { data: task, error, isError, refetch } = useTask(id);
  const [, navigate] = useLocation();
  const at = tasks.findIndex((one) => one.task_id === id);
  const others = tasks.filter((one) => one.task_id !== id);
  const after = tasks[at + 1] ?? others[0];
  const before = at > 0 ? tasks[at - 1] : undefined;
  const show = (next: Task | undefined) => navigate(addressOf(next?.task_id));
  const goOn = () => {
    leaveQueue(id);
    show(after);
  };
  useShortcuts([
    { key: 'j', label: text.keys.next, run: () => after !== undefined && show(after) },
    { key: 'k', label: text.keys.previous, run: () => before !== undefined && show(before) },
  ]);
  return (
    <Page
      title={title}
      actions={
        <>
          <span className="muted small">
            {tasks.length >= QUEUE_SIZE
              ? text.atLeast(format.number(QUEUE_SIZE - 1))
              : text.waiting(tasks.length)}
          </span>
          <Button size="small" disabled={before === undefined} onClick={() => show(before)}>
            {text.previous} <Key name="k" />
          </Button>
          <Button size="small" disabled={after === undefined} onClick={() => show(after)}>
            {text.next} <Key name="j" />
          </Button>
        </>
      }
    >
      <ConnectionBanner connection={connection} />
      {task !== undefined ? (
        isInReview(task) ? (
          <ReviewOf task={task} onDecided={goOn} />
        ) : (
          <Gone onNext={goOn} />
        )
      ) : isError ? (
        isNotFound(error) ? (
          <Gone onNext={goOn} />
        ) : (
          <Problem error={error} onRetry={() => void refetch()} />
        )
      ) : (
        <Skeleton lines={10} />
      )}
    </Page>
  );
}

function Gone({ onNext }: { onNext: () => void }) {
  const { gone } = useReview();
  return (
    <EmptyState
      icon="check"
      title={gone.title}
      actions={
        <Button look="primary" onClick={onNext}>
          {gone.next}
        </Button>
      }
    >
      {gone.text}
    </EmptyState>
  );
}

function ReviewOf({ task, onDecided }: { task: Task; onDecided: () => void }) {
  const text = useReview();
  const format = useFormat();
  return (
    <>
      <div className="row row-between">
        <div className="task-heading">
          <h2>{task.title}</h2>
          <p className="row small muted">
            <UrgencyBadge urgency={task.sla.urgency} />
            {task.domain} · {task.task_type} · {text.since(format.relative(waitsSince(task)))}
          </p>
        </div>
        <ButtonLink size="small" look="quiet" href={`/console/tasks/${task.task_id}`}>
          {text.openTask}
        </ButtonLink>
      </div>
      <div className="review-columns">
        <Card title={text.asked}>
          <TaskRequest task={task} />
        </Card>
        <div className="stack review-answer">
          <Concern task={task} />
          {task.submission !== null && (
            <Card title={text.handedIn}>
              <SubmissionView task={task} submission={task.submission} />
            </Card>
          )}
          <section className="card" aria-label={text.decision.title}>
            {isDisputed(task) ? (
              <div className="row">
                <TaskActions task={task} />
              </div>
            ) : (
              <DecisionForm task={task} onDecided={onDecided} />
            )}
          </section>
        </div>
      </div>
    </>
  );
}

/** A worker's report or dispute, which is to be decided instead of a submission; else the last feedback, for what came back. */
function Concern({ task }: { task: Task }) {
  const { outcome, reviews } = useTaskText();
  const workerName = useWorkerName();
  const { report, dispute } = task;
  const last = task.reviews.at(-1);
  if (isReported(task) && report !== null)
    return (
      <Banner
        tone="amber"
        title={`${outcome.reported}: ${outcome.reportReasons[report.reason]} (${workerName(report.worker_id)})`}
      >
        {report.text !== null && <p className="plain-text">{report.text}</p>}
      </Banner>
    );
  return (
    <>
      {last?.feedback !== null && last !== undefined && (
        <Banner tone="grey" title={reviews.decisions[last.decision]}>
          <p className="plain-text">{last.feedback}</p>
        </Banner>
      )}
      {isDisputed(task) && dispute !== null && (
        <Banner tone="amber" title={`${outcome.disputed} (${workerName(dispute.worker_id)})`}>
          <p className="plain-text">{dispute.text}</p>
        </Banner>
      )}
    </>
  );
}
