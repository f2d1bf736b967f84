// The decision of a reviewer: what to do with the submission, feedback and a rating. What is typed is kept in this tab until it
// is sent. It is sent on condition that the submission is still the one that the reviewer has seen.

import { ApiError, type CopiesResult, type ReviewDecision, type Task } from '@biolayer/sdk';
import { type FormEvent, useId, useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { problemText } from '../../shared/api/problem-text.ts';
import { queries } from '../../shared/api/queries.tsx';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import type { Tone } from '../../shared/ui/badge.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { ErrorSummary, type FormError } from '../../shared/ui/error-summary.tsx';
import { FieldGroup, Segmented, SelectField, TextAreaField } from '../../shared/ui/field.tsx';
import { Key, useShortcuts } from '../../shared/ui/shortcuts.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useReview } from '../messages.ts';
import { TASK_KEY } from '../org-events.tsx';
import { useWorkerName } from '../people.ts';
import { isReported } from '../tasks/task-facts.ts';
import { ifUnchanged, noteTask } from '../tasks/task-queries.ts';

const KEYS: Readonly<Record<ReviewDecision, string>> = {
  approve: 'a',
  rework: 'w',
  reassign: 's',
  reject: 'x',
};
const TONES: Readonly<Record<ReviewDecision, Tone>> = {
  approve: 'green',
  rework: 'amber',
  reassign: 'blue',
  reject: 'red',
};
const RATINGS = ['1', '2', '3', '4', '5'] as const;
const LONGEST = 20_000;

export function DecisionForm({ task, onDecided }: { task: Task; onDecided: () => void }) {
  const { decision: text, keys } = useReview();
  const shared = useShared();
  const format = useFormat();
  const toast = useToast();
  const id = useId();
  const draftKey = `biolayer-review-${task.task_id}`;
  const [decision, setDecision] = useState<ReviewDecision>();
  const [rating, setRating] = useState<'' | (typeof RATINGS)[number]>('');
  const [feedback, setFeedback] = useState(() => sessionStorage.getItem(draftKey) ?? '');
  const [answerOf, setAnswerOf] = useState('');
  const [errors, setErrors] = useState<readonly FormError[]>([]);
  const [attempt, setAttempt] = useState(0);
  const [isBusy, setBusy] = useState(false);
  // A report is about the task, not about a submission.
  const decisions: readonly ReviewDecision[] = isReported(task)
    ? ['reassign', 'reject']
    : ['approve', 'rework', 'reassign', 'reject'];
  const copies = copiesOf(task);
  const type = (value: string) => {
    setFeedback(value);
    if (value === '') sessionStorage.removeItem(draftKey);
    else sessionStorage.setItem(draftKey, value);
  };

  const send = async (event?: FormEvent) => {
    event?.preventDefault();
    if (isBusy) return;
    setAttempt(attempt + 1);
    if (decision === undefined) return setErrors([{ fieldId: `${id}-decision`, message: text.noDecision }]);
    const words = feedback.trim();
    if (words === '' && (decision === 'rework' || decision === 'reject'))
      return setErrors([{ fieldId: `${id}-feedback`, message: text.noFeedback }]);
    setBusy(true);
    try {
      const decided = await api.tasks.review(
        task.task_id,
        {
          decision,
          ...(words !== '' && { feedback: words }),
          ...(rating !== '' && { rating: Number(rating) }),
          ...(answerOf !== '' && decision === 'approve' && { worker_id: answerOf }),
        },
        ifUnchanged(task),
      );
      sessionStorage.removeItem(draftKey);
      toast(text.done[decision]);
      onDecided();
      noteTask(decided);
    } catch (error) {
      const isStale = error instanceof ApiError && (error.status === 412 || error.status === 409);
      if (isStale) await queries.invalidateQueries({ queryKey: [TASK_KEY, task.task_id] });
      setErrors([{ message: isStale ? text.stale : problemText(error, shared) }]);
      setBusy(false);
    }
  };

  useShortcuts([
    ...decisions.map((one) => ({
      key: KEYS[one],
      label: text.options[one],
      run: () => setDecision(one),
    })),
    ...RATINGS.map((one) => ({
      key: one,
      label: keys.rating(format.number(Number(one))),
      run: () => setRating(one),
    })),
    { key: 'f', label: keys.feedback, run: () => document.getElementById(`${id}-feedback`)?.focus() },
    { key: 'mod+Enter', label: keys.send, run: () => void send() },
  ]);
  const errorOf = (name: string) => errors.find((one) => one.fieldId === `${id}-${name}`)?.message;

  return (
    <form className="decision stack" onSubmit={(event) => void send(event)} noValidate>
      <ErrorSummary errors={errors} attempt={attempt} />
      <FieldGroup
        id={`${id}-decision`}
        label={text.legend}
        error={errorOf('decision')}
        hint={decision && text.hints[decision]}
      >
        <div className="decision-options">
          {decisions.map((one) => (
            <label key={one} className={`decision-option tone-${TONES[one]}`}>
              <input
                type="radio"
                name={`${id}-decision`}
                checked={decision === one}
                onChange={() => setDecision(one)}
              />
              {text.options[one]}
              <Key name={KEYS[one]} />
            </label>
          ))}
        </div>
      </FieldGroup>
      {copies.length > 0 && decision === 'approve' && (
        <AnswerChoice copies={copies} value={answerOf} onChange={setAnswerOf} />
      )}
      <TextAreaField
        id={`${id}-feedback`}
        label={text.feedback}
        hint={text.feedbackHint}
        optional={decision === 'approve' || decision === 'reassign'}
        error={errorOf('feedback')}
        value={feedback}
        maxLength={LONGEST}
        onChange={(event) => type(event.target.value)}
      />
      <div className="row row-between">
        <div className="row">
          <span className="field-label">{text.rating}</span>
          <Segmented
            label={`${text.rating}. ${text.ratingHint}`}
            value={rating}
            onChange={setRating}
            options={[
              { value: '', label: text.noRating },
              ...RATINGS.map((one) => ({ value: one, label: format.number(Number(one)) })),
            ]}
          />
        </div>
        <Button look={decision === 'reject' ? 'danger' : 'primary'} type="submit" size="large" busy={isBusy}>
          {decision === undefined ? text.choose : text.send[decision]}
          <span aria-hidden="true">
            <Key name="mod+Enter" />
          </span>
        </Button>
      </div>
    </form>
  );
}

function copiesOf({ submission }: Task): CopiesResult['copies'] {
  return submission !== null && 'copies' in submission ? submission.copies : [];
}

/** Of a task with copies: whose answer is the result. */
function AnswerChoice({
  copies,
  value,
  onChange,
}: {
  copies: CopiesResult['copies'];
  value: string;
  onChange: (workerId: string) => void;
}) {
  const { decision: text } = useReview();
  const workerName = useWorkerName();
  return (
    <SelectField label={text.answer} value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">{text.answerDefault}</option>
      {copies.map(({ worker_id }) => (
        <option key={worker_id} value={worker_id}>
          {workerName(worker_id)}
        </option>
      ))}
    </SelectField>
  );
}
