// What a worker has handed in: the output, notes and files; of a task with copies, all answers and how far they agree.

import type { CopiesResult, DefaultResult, Submission, Task } from '@biolayer/sdk';
import { useMemo } from 'react';
import { asJsonSchema } from '../../shared/forms/schema.ts';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Badge } from '../../shared/ui/badge.tsx';
import { Banner } from '../../shared/ui/containers.tsx';
import { useTaskText } from '../messages.ts';
import { useWorkerName } from '../people.ts';
import { EvidenceList } from './evidence-list.tsx';
import { ValueView } from './value-view.tsx';

export function SubmissionView({
  task,
  submission,
}: {
  task: Task;
  submission: Submission | CopiesResult | DefaultResult;
}) {
  const text = useTaskText().submission;
  const format = useFormat();
  if ('copies' in submission) {
    const { agreed, agreeing, count } = submission.agreement;
    return (
      <div className="stack">
        <p className="row">
          <Badge tone={agreed ? 'green' : 'amber'}>{agreed ? text.agreed : text.notAgreed}</Badge>
          {text.agreement(format.number(agreeing), format.number(count))}
        </p>
        {submission.copies.map((copy, index) => (
          <section key={copy.worker_id} className="stack stack-tight">
            <h3>{text.answer(format.number(index + 1))}</h3>
            <Answer task={task} submission={copy} />
          </section>
        ))}
      </div>
    );
  }
  if (submission.worker_id === null)
    return (
      <div className="stack">
        <Banner tone="amber" title={text.byDefault} />
        <Output task={task} value={submission.output} />
      </div>
    );
  return <Answer task={task} submission={submission as Submission} />;
}

/** The output, under the titles of its schema. */
function Output({ task, value }: { task: Task; value: unknown }) {
  const { schema } = task.output;
  const described = useMemo(() => {
    if (schema === undefined) return undefined;
    const root = asJsonSchema(schema);
    return { root, schemas: [root] };
  }, [schema]);
  return <ValueView value={value} described={described} />;
}

function Answer({ task, submission }: { task: Task; submission: Submission }) {
  const text = useTaskText().submission;
  const format = useFormat();
  const workerName = useWorkerName();
  const { output, notes, evidence, worker_id, submitted_at } = submission;
  return (
    <div className="stack">
      <p className="small muted">{text.by(workerName(worker_id), format.dateTime(submitted_at))}</p>
      <Output task={task} value={output} />
      {notes !== null && notes !== '' && (
        <section>
          <h3>{text.notes}</h3>
          <p className="plain-text">{notes}</p>
        </section>
      )}
      {evidence.length > 0 && (
        <section className="stack stack-tight">
          <h3>{text.evidence}</h3>
          <EvidenceList taskId={task.task_id} files={evidence} />
        </section>
      )}
    </div>
  );
}
