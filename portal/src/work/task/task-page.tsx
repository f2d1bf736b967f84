// The page of one task: what to do on one side, the answer on the other.

import type { ReportTaskRequest, WorkerTask } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { isNotFound } from '../../shared/api/queries.tsx';
import { StatusBadge, UrgencyBadge } from '../../shared/ui/badge.tsx';
import { Button, ButtonLink } from '../../shared/ui/button.tsx';
import { Banner, Card, EmptyState, Skeleton } from '../../shared/ui/containers.tsx';
import { Choice, FieldGroup } from '../../shared/ui/field.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { forgetTask, setTask, useTask } from '../data.ts';
import { useWork } from '../messages.ts';
import { ReasonDialog } from '../reason-dialog.tsx';
import { useAction } from '../use-action.ts';
import { Answer } from './answer.tsx';
import { Brief, TaskFacts } from './brief.tsx';
import { Conversation } from './conversation.tsx';
import { SubmittedWork } from './submitted-work.tsx';
import '../work.css';

export function TaskPage({ id, workerId }: { id: string; workerId: string }) {
  const text = useWork();
  const task = useTask(id);
  if (task.data !== undefined) return <Loaded task={task.data} workerId={workerId} />;
  return (
    <Page title={text.nav.desk}>
      {task.isPending ? (
        <Skeleton lines={8} />
      ) : isNotFound(task.error) ? (
        <EmptyState
          icon="tasks"
          title={text.task.gone}
          actions={<ButtonLink href="/work">{text.task.toDesk}</ButtonLink>}
        >
          {text.task.goneText}
        </EmptyState>
      ) : (
        <Problem error={task.error} onRetry={() => void task.refetch()} />
      )}
    </Page>
  );
}

function Loaded({ task, workerId }: { task: WorkerTask; workerId: string }) {
  const isInHand = task.status === 'accepted' || task.status === 'started';
  return (
    <Page title={task.title} heading={<Heading task={task} />} actions={isInHand && <Actions task={task} />}>
      <div className="task">
        <div className="stack">
          <Brief task={task} />
        </div>
        <div className="task-answer">
          {isInHand ? <InHand task={task} workerId={workerId} /> : <SubmittedWork task={task} />}
        </div>
        {isInHand && <Conversation task={task} />}
      </div>
    </Page>
  );
}

function Heading({ task }: { task: WorkerTask }) {
  return (
    <div className="task-heading grow">
      <div className="row">
        <StatusBadge status={task.status} />
        <UrgencyBadge urgency={task.sla.urgency} />
      </div>
      <h1>{task.title}</h1>
      <TaskFacts task={task} />
    </div>
  );
}

function InHand({ task, workerId }: { task: WorkerTask; workerId: string }) {
  const text = useWork().task;
  // Read once: from then on the form has the newest answers.
  const draft = useQuery({
    queryKey: ['draft', task.task_id, task.assignment?.offer_id],
    queryFn: () => api.worker.getDraft(task.task_id),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  const starting = useAction(async () => setTask(await api.worker.startTask(task.task_id, {})));
  return (
    <div className="stack">
      {task.status === 'accepted' && (
        <Banner
          tone="violet"
          title={text.accepted}
          actions={
            <Button busy={starting.isBusy} onClick={starting.run}>
              {text.start}
            </Button>
          }
        />
      )}
      {draft.isPending ? (
        <Card>
          <Skeleton lines={8} />
        </Card>
      ) : draft.isError ? (
        <Problem error={draft.error} onRetry={() => void draft.refetch()} />
      ) : (
        <Answer key={task.assignment?.offer_id} task={task} workerId={workerId} draft={draft.data} />
      )}
    </div>
  );
}

function Actions({ task }: { task: WorkerTask }) {
  const text = useWork().task;
  const [dialog, setDialog] = useState<'release' | 'report' | null>(null);
  const close = () => setDialog(null);
  return (
    <>
      <Button look="quiet" onClick={() => setDialog('report')}>
        {text.report}
      </Button>
      <Button onClick={() => setDialog('release')}>{text.release}</Button>
      {dialog === 'release' && <ReleaseDialog task={task} onClose={close} />}
      {dialog === 'report' && <ReportDialog task={task} onClose={close} />}
    </>
  );
}

function useLeave(taskId: string, done: string): () => void {
  const toast = useToast();
  const [, navigate] = useLocation();
  return () => {
    navigate('/work');
    forgetTask(taskId);
    toast(done);
  };
}

function ReleaseDialog({ task, onClose }: { task: WorkerTask; onClose: () => void }) {
  const text = useWork().task;
  const leave = useLeave(task.task_id, text.released);
  return (
    <ReasonDialog
      title={text.releaseTitle}
      text={text.releaseText}
      label={text.releaseReason}
      button={text.release}
      look="danger"
      action={async (reason) => {
        await api.worker.releaseTask(task.task_id, reason === undefined ? {} : { reason });
        leave();
      }}
      onClose={onClose}
    />
  );
}

const REASONS = ['unclear', 'unsafe', 'abusive'] as const satisfies readonly ReportTaskRequest['reason'][];

function ReportDialog({ task, onClose }: { task: WorkerTask; onClose: () => void }) {
  const text = useWork().task;
  const leave = useLeave(task.task_id, text.reported);
  const [reason, setReason] = useState<ReportTaskRequest['reason'] | null>(null);
  return (
    <ReasonDialog
      title={text.reportTitle}
      text={text.reportText}
      label={text.reportDetails}
      button={text.report}
      look="danger"
      isReady={reason !== null}
      action={async (details) => {
        if (reason === null) return;
        await api.worker.reportTask(task.task_id, {
          reason,
          ...(details !== undefined && { text: details }),
        });
        leave();
      }}
      onClose={onClose}
    >
      <FieldGroup label={text.reportReason}>
        {REASONS.map((one) => (
          <Choice
            key={one}
            type="radio"
            name="report-reason"
            checked={reason === one}
            onChange={() => setReason(one)}
          >
            {text.reportReasons[one]}
          </Choice>
        ))}
      </FieldGroup>
    </ReasonDialog>
  );
}
