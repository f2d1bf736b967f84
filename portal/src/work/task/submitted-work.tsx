// What a worker has handed in, after they have: the answers, files and notes, and what became of them.

import type { WorkedTask, WorkerTask } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { labelFromName, textOf } from '../../shared/forms/fields.ts';
import { asJsonSchema, isObject } from '../../shared/forms/schema.ts';
import { memberOf } from '../../shared/forms/titles.ts';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { Badge } from '../../shared/ui/badge.tsx';
import { Button, ButtonLink } from '../../shared/ui/button.tsx';
import { Banner, Card, Facts } from '../../shared/ui/containers.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { setTask } from '../data.ts';
import { useWork } from '../messages.ts';
import { ReasonDialog } from '../reason-dialog.tsx';
import { StoredFile } from './evidence.tsx';

export function SubmittedWork({ task }: { task: WorkerTask | WorkedTask }) {
  const text = useWork();
  const format = useFormat();
  const { submission } = task;
  const isWaiting = task.status === 'submitted' || task.status === 'verified';
  return (
    <div className="stack">
      {isWaiting && (
        <Banner
          tone="amber"
          title={text.task.submittedTitle}
          actions={<ButtonLink href="/work">{text.task.toDesk}</ButtonLink>}
        >
          <p>{task.output.review?.mode === 'manual' ? text.task.inReview : text.task.checking}</p>
        </Banner>
      )}
      <Dispute task={task} />
      <Card title={text.history.submission}>
        {submission !== null && (
          <>
            <p className="small muted">
              {submission.submitted_at !== null && format.dateTime(submission.submitted_at)}
            </p>
            <Output value={submission.output} schema={task.output.schema} />
            {(submission.evidence ?? []).length > 0 && (
              <ul className="files" aria-label={text.evidence.title}>
                {submission.evidence?.map((file) => (
                  <StoredFile key={file.evidence_id} taskId={task.task_id} file={file} isFixed />
                ))}
              </ul>
            )}
            {submission.notes !== null && submission.notes !== undefined && (
              <div>
                <p className="muted">{text.task.notes}</p>
                <p className="plain-text">{submission.notes}</p>
              </div>
            )}
          </>
        )}
      </Card>
    </div>
  );
}

/** An output as a person reads it; what is nested is shown as JSON. */
function Output({ value, schema }: { value: unknown; schema: Record<string, unknown> | undefined }) {
  const { yes, no } = useShared();
  const shown = (one: unknown) =>
    typeof one === 'boolean' ? (
      one ? (
        yes
      ) : (
        no
      )
    ) : typeof one === 'object' && one !== null ? (
      <pre className="data">{JSON.stringify(one, null, 2)}</pre>
    ) : (
      <span className="plain-text">{textOf(one)}</span>
    );
  if (!isObject(value)) return <div>{shown(value)}</div>;
  const root = asJsonSchema(schema ?? {});
  const labelOf = (name: string) => memberOf({ root, schemas: [root] }, name).title ?? labelFromName(name);
  return <Facts facts={Object.entries(value).map(([name, one]) => [labelOf(name), shown(one)] as const)} />;
}

function Dispute({ task }: { task: WorkerTask }) {
  const text = useWork().history;
  const toast = useToast();
  const [isOpen, setOpen] = useState(false);
  const { dispute, disputable_until: until } = task;
  const mayDispute = dispute === null && until !== null && Date.parse(until) > Date.now();
  if (dispute !== null)
    return (
      <Banner tone="violet" title={<Badge tone="violet">{text.disputeStates[dispute.status]}</Badge>}>
        <p className="plain-text">{dispute.text}</p>
        {dispute.decision_text !== null && <p className="plain-text">{dispute.decision_text}</p>}
      </Banner>
    );
  if (!mayDispute) return null;
  return (
    <div>
      <Button onClick={() => setOpen(true)}>{text.dispute}</Button>
      {isOpen && (
        <ReasonDialog
          title={text.disputeTitle}
          text={text.disputeText}
          label={text.disputeReason}
          button={text.dispute}
          isRequired
          action={async (reason = '') => {
            setTask(await api.worker.disputeRejection(task.task_id, { text: reason }));
            toast(text.disputed);
          }}
          onClose={() => setOpen(false)}
        />
      )}
    </div>
  );
}
