// The main part of a task's page: its outcome, what was handed in and decided, and what was asked.

import type { ReviewDecision, Task } from '@biolayer/sdk';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Badge, type Tone } from '../../shared/ui/badge.tsx';
import { Banner, Card } from '../../shared/ui/containers.tsx';
import { useTaskText } from '../messages.ts';
import { useWorkerName } from '../people.ts';
import { SubmissionView } from '../submission/submission-view.tsx';
import { useActorName } from './actor.ts';
import { isDisputed, isInReview, isReported } from './task-facts.ts';
import { TaskRequest } from './task-request.tsx';

export function TaskContent({ task }: { task: Task }) {
  const text = useTaskText();
  const handedIn = task.result ?? task.submission;
  return (
    <div className="stack">
      <Outcome task={task} />
      {handedIn !== null && (
        <Card title={task.result === null ? text.submission.title : text.submission.result}>
          <SubmissionView task={task} submission={handedIn} />
        </Card>
      )}
      {task.reviews.length > 0 && <Reviews task={task} />}
      <Card title={text.tabs.task}>
        <TaskRequest task={task} />
      </Card>
    </div>
  );
}

/** What a person must know first: failure, cancellation, a report, a dispute, an open question. */
function Outcome({ task }: { task: Task }) {
  const { outcome: text } = useTaskText();
  const actorName = useActorName();
  const workerName = useWorkerName();
  const { failure, cancellation, report, dispute, open_question } = task;
  return (
    <>
      {failure !== null && (
        <Banner tone="red" title={text.failed}>
          <p>{failure.message}</p>
        </Banner>
      )}
      {cancellation !== null && (
        <Banner tone="grey" title={`${text.cancelled} ${text.by(actorName(cancellation.cancelled_by))}`}>
          {cancellation.reason !== null && <p className="plain-text">{cancellation.reason}</p>}
        </Banner>
      )}
      {report !== null && (isReported(task) || report.decision === null) && (
        <Banner
          tone="amber"
          title={`${text.reported}: ${text.reportReasons[report.reason]} (${workerName(report.worker_id)})`}
        >
          {report.text !== null && <p className="plain-text">{report.text}</p>}
          {isReported(task) && <p>{text.decideReport}</p>}
        </Banner>
      )}
      {dispute !== null && (
        <Banner
          tone="amber"
          title={
            dispute.status === 'open'
              ? `${text.disputed} (${workerName(dispute.worker_id)})`
              : text.disputeDecided[dispute.status]
          }
        >
          <p className="plain-text">{dispute.text}</p>
          {dispute.decision_text !== null && <p className="plain-text">{dispute.decision_text}</p>}
        </Banner>
      )}
      {open_question !== null && (
        <Banner
          tone="amber"
          title={open_question.author.kind === 'worker' ? text.question : text.ownQuestion}
        >
          <p className="plain-text">{open_question.text}</p>
        </Banner>
      )}
      {isInReview(task) && !isDisputed(task) && !isReported(task) && (
        <Banner tone="amber" title={text.inReview} />
      )}
    </>
  );
}

const DECISION_TONES: Readonly<Record<ReviewDecision, Tone>> = {
  approve: 'green',
  rework: 'amber',
  reassign: 'blue',
  reject: 'red',
};

function Reviews({ task }: { task: Task }) {
  const text = useTaskText().reviews;
  const format = useFormat();
  const actorName = useActorName();
  return (
    <Card title={text.title}>
      <ol className="review-list">
        {task.reviews.map(({ decision, feedback, rating, reviewed_by, reviewed_at }) => (
          <li key={reviewed_at}>
            <p className="row">
              <Badge tone={DECISION_TONES[decision]}>{text.decisions[decision]}</Badge>
              <span className="muted small">
                {text.by(actorName(reviewed_by), format.dateTime(reviewed_at))}
              </span>
              {rating !== null && <span className="small">{text.rating(format.number(rating))}</span>}
            </p>
            {feedback !== null && <p className="plain-text">{feedback}</p>}
          </li>
        ))}
      </ol>
    </Card>
  );
}
