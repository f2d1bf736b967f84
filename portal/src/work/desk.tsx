// My work: the offers that wait for an answer, and the tasks in hand.

import type { WorkerTask } from '@biolayer/sdk';
import { Link } from 'wouter';
import { api } from '../shared/api/client.ts';
import { useFormat } from '../shared/i18n/messages.tsx';
import { Badge, StatusBadge, UrgencyBadge } from '../shared/ui/badge.tsx';
import { Button } from '../shared/ui/button.tsx';
import { EmptyState, Skeleton } from '../shared/ui/containers.tsx';
import { Icon } from '../shared/ui/icons.tsx';
import { Page } from '../shared/ui/layout.tsx';
import { Problem } from '../shared/ui/problem.tsx';
import { setWorker, useOffers, useTasks, useWorker } from './data.ts';
import { useWork } from './messages.ts';
import { OfferCard } from './offer-card.tsx';
import { useAction } from './use-action.ts';
import './work.css';

export function Desk() {
  const { nav } = useWork();
  return (
    <Page title={nav.desk}>
      <div className="desk">
        <Offers />
        <Tasks />
      </div>
    </Page>
  );
}

function Offers() {
  const { offers: text } = useWork();
  const offers = useOffers();
  return (
    <section className="stack" aria-labelledby="offers">
      <h2 id="offers" className="section-title">
        {text.title}
        {(offers.data?.length ?? 0) > 0 && <Badge tone="blue">{offers.data?.length}</Badge>}
      </h2>
      {offers.isPending ? (
        <Skeleton lines={4} />
      ) : offers.isError ? (
        <Problem error={offers.error} onRetry={() => void offers.refetch()} />
      ) : offers.data.length === 0 ? (
        <NoOffers />
      ) : (
        offers.data.map((offer, index) => (
          <OfferCard key={offer.offer_id} offer={offer} isFirst={index === 0} />
        ))
      )}
    </section>
  );
}

function NoOffers() {
  const text = useWork();
  const worker = useWorker();
  const isAvailable = worker.data?.availability === 'available';
  const { isBusy, run } = useAction(async () =>
    setWorker(await api.worker.update({ availability: 'available' })),
  );
  return (
    <div className="card">
      <EmptyState
        icon="inbox"
        title={text.offers.none}
        actions={
          worker.data !== undefined &&
          !isAvailable && (
            <Button look="primary" busy={isBusy} onClick={run}>
              {text.offers.goAvailable}
            </Button>
          )
        }
      >
        {isAvailable ? text.offers.waiting : text.offers.away}
      </EmptyState>
    </div>
  );
}

function Tasks() {
  const { tasks: text } = useWork();
  const tasks = useTasks();
  return (
    <section className="stack" aria-labelledby="tasks">
      <h2 id="tasks" className="section-title">
        {text.title}
        {(tasks.data?.length ?? 0) > 0 && <Badge>{tasks.data?.length}</Badge>}
      </h2>
      {tasks.isPending ? (
        <Skeleton lines={4} />
      ) : tasks.isError ? (
        <Problem error={tasks.error} onRetry={() => void tasks.refetch()} />
      ) : tasks.data.length === 0 ? (
        <div className="card">
          <EmptyState icon="tasks" title={text.none}>
            {text.noneText}
          </EmptyState>
        </div>
      ) : (
        <ul className="task-list">
          {tasks.data.map((task) => (
            <TaskRow key={task.task_id} task={task} />
          ))}
        </ul>
      )}
    </section>
  );
}

function TaskRow({ task }: { task: WorkerTask }) {
  const { tasks: text, task: taskText } = useWork();
  const format = useFormat();
  const asksMe = task.open_question?.author.kind === 'requester';
  const isRework = task.feedback !== null && task.status === 'started';
  return (
    <li>
      <Link href={`/work/tasks/${task.task_id}`} className="task-row">
        <span className="grow stack stack-tight">
          <strong>{task.title}</strong>
          <span className="row">
            <StatusBadge status={task.status} />
            <UrgencyBadge urgency={task.sla.urgency} />
            {isRework && <Badge tone="amber">{text.rework}</Badge>}
            {asksMe && <Badge tone="violet">{text.question}</Badge>}
            {task.unread_messages > 0 && <Badge tone="blue">{text.unread(task.unread_messages)}</Badge>}
            {task.sla.deadline !== undefined && (
              <span className="small muted">
                {taskText.deadline} {format.relative(task.sla.deadline)}
              </span>
            )}
          </span>
        </span>
        <Icon name="right" />
      </Link>
    </li>
  );
}
