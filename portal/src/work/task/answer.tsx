// The answer to a task: the form, evidence, notes, and the submission.

import { ApiError, type Draft, type WorkerTask } from '@biolayer/sdk';
import {
  type FormEvent,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';
import { useLocation } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { onSessionChange, sessionHasEnded } from '../../shared/api/session-state.ts';
import { sentence } from '../../shared/forms/form-context.tsx';
import { FormStore } from '../../shared/forms/form-store.ts';
import { asJsonSchema, type JsonSchema } from '../../shared/forms/schema.ts';
import { SchemaForm, useFormErrors } from '../../shared/forms/schema-form.tsx';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Banner, Card } from '../../shared/ui/containers.tsx';
import { ErrorSummary, type FormError } from '../../shared/ui/error-summary.tsx';
import { TextAreaField } from '../../shared/ui/field.tsx';
import { Key, useShortcuts } from '../../shared/ui/shortcuts.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { forgetTask, setTask, useEvidence } from '../data.ts';
import { useWork } from '../messages.ts';
import { useAction } from '../use-action.ts';
import { DraftKeeper, type DraftStatus } from './draft.ts';
import { EvidenceField } from './evidence.tsx';

const ID_PREFIX = 'output';

/** A task that asks for a text is answered as one that asks for a string. */
function schemaOf(task: WorkerTask, label: string): JsonSchema {
  const { expected_format: format, schema } = task.output;
  return format === 'text' || schema === undefined ? { type: 'string', title: label } : asJsonSchema(schema);
}

export function Answer({ task, workerId, draft }: { task: WorkerTask; workerId: string; draft: Draft }) {
  const text = useWork();
  const toast = useToast();
  const [, navigate] = useLocation();
  const { task_id } = task;
  // Made once: from then on it has the newest answers, whatever the server is asked again.
  const [keeper] = useState(() => new DraftKeeper(workerId, task_id, draft));
  // Another store when the answers of another window are shown.
  const [shown, setShown] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the schema of a task does not change.
  const store = useMemo(
    () => new FormStore(schemaOf(task, text.task.text), keeper.answers.form),
    [task_id, keeper, shown],
  );
  const [notes, setNotes] = useState(keeper.answers.notes);
  const [isUploading, setUploading] = useState(false);
  const [refusals, setRefusals] = useState<readonly { pointer: string; message: string }[]>([]);
  const [attempt, setAttempt] = useState(0);
  const files = useEvidence(task_id);
  const submission = useRef({ body: '', key: '' });
  const formErrors = useFormErrors(store, ID_PREFIX);

  useAutoStart(task, store, keeper, notes);

  const submitting = useAction(
    async () => {
      const output = store.attempt();
      setAttempt((count) => count + 1);
      setRefusals([]);
      if (isUploading)
        return setRefusals([{ pointer: '/evidence_ids', message: text.evidence.stillUploading }]);
      // Without these the server would see an answer that is not the one on the screen.
      if (store.hasUnreadable) return;
      const evidence = files.data?.map((one) => one.evidence_id);
      const body = {
        output: output ?? null,
        ...(notes.trim() !== '' && { notes }),
        ...(evidence !== undefined && { evidence_ids: evidence }),
      };
      if (task.status === 'accepted') await api.worker.startTask(task_id, {});
      const idempotencyKey = keyFor(JSON.stringify(body), submission.current);
      const submitted = await api.worker.submitTask(task_id, body, { idempotencyKey });
      keeper.discard();
      setTask(submitted);
      forgetTask(task_id);
      toast(text.task.submitted);
      navigate('/work');
    },
    (error) => {
      if (!(error instanceof ApiError) || error.code !== 'validation_failed') return false;
      const below = (name: string) => error.errors.filter(({ pointer }) => isBelow(pointer, name));
      store.refuse(below('/output').map((one) => ({ ...one, pointer: one.pointer.slice('/output'.length) })));
      setRefusals(error.errors.filter(({ pointer }) => !isBelow(pointer, '/output')));
      setAttempt((count) => count + 1);
      return true;
    },
  );

  const fileCount = files.data?.length ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: other files are another answer.
  useEffect(() => {
    setRefusals((all) => all.filter(({ pointer }) => !isBelow(pointer, '/evidence_ids')));
  }, [fileCount]);

  const refusalAt = (name: string) => {
    const found = refusals.find(({ pointer }) => isBelow(pointer, name));
    return found === undefined ? undefined : sentence(found.message);
  };
  const needsEvidence = refusalAt('/evidence_ids') !== undefined && files.data?.length === 0 && !isUploading;
  const evidenceError = needsEvidence ? text.evidence.missing : refusalAt('/evidence_ids');
  const errors: FormError[] = [
    ...(attempt > 0 ? formErrors : []),
    ...(evidenceError === undefined
      ? []
      : [{ fieldId: 'evidence', message: `${text.evidence.title}: ${evidenceError}` }]),
    ...(refusalAt('/notes') === undefined ? [] : [{ fieldId: 'notes', message: refusalAt('/notes') ?? '' }]),
    ...refusals
      .filter(({ pointer }) => !isBelow(pointer, '/evidence_ids') && !isBelow(pointer, '/notes'))
      .map(({ message }) => ({ message: sentence(message) })),
  ];

  useShortcuts([{ key: 'mod+Enter', label: text.shortcuts.submit, run: submitting.run }]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    submitting.run();
  };
  return (
    <Card title={text.task.answer}>
      <form className="stack stack-loose" onSubmit={submit} noValidate>
        <DraftConflict
          keeper={keeper}
          onOther={() => {
            setNotes(keeper.answers.notes);
            setShown((count) => count + 1);
          }}
        />
        <ErrorSummary errors={errors} attempt={attempt} />
        <SchemaForm key={shown} store={store} idPrefix={ID_PREFIX} />
        <EvidenceField task={task} id="evidence" error={evidenceError} onBusy={setUploading} />
        <TextAreaField
          id="notes"
          label={text.task.notes}
          error={refusalAt('/notes')}
          optional
          maxLength={20_000}
          value={notes}
          onChange={(event) => setNotes(event.target.value)}
        />
        <div className="submit-bar">
          <DraftStatusText keeper={keeper} />
          <Button look="primary" type="submit" icon="check" busy={submitting.isBusy}>
            {text.task.submit}
            <Key name="mod+Enter" />
          </Button>
        </div>
      </form>
    </Card>
  );
}

function isBelow(pointer: string, name: string): boolean {
  return pointer === name || pointer.startsWith(`${name}/`);
}

/** The same key for the same submission, so that pressing the button again after a lost answer submits once. */
function keyFor(body: string, last: { body: string; key: string }): string {
  if (last.body !== body) {
    last.body = body;
    last.key = crypto.randomUUID();
  }
  return last.key;
}

/** Keeps the draft, and starts the task with the first answer. */
function useAutoStart(task: WorkerTask, store: FormStore, keeper: DraftKeeper, notes: string): void {
  const { task_id, status } = task;
  const start = useRef(() => undefined as undefined | Promise<void>);
  const current = useRef({ notes, isStarting: false });
  start.current = () => {
    if (status !== 'accepted' || current.current.isStarting) return;
    current.current.isStarting = true;
    return api.worker
      .startTask(task_id, {})
      .then(setTask)
      .catch(() => undefined)
      .finally(() => {
        current.current.isStarting = false;
      });
  };
  const keep = useCallback(() => {
    keeper.save({ form: store.state, notes: current.current.notes });
    void start.current();
  }, [keeper, store]);
  useEffect(() => {
    store.onEdit = keep;
    keeper.reopen();
    const flush = () => keeper.flush();
    const unsubscribe = onSessionChange(() => !sessionHasEnded() && flush());
    addEventListener('online', flush);
    return () => {
      keeper.close();
      unsubscribe();
      removeEventListener('online', flush);
    };
  }, [store, keep, keeper]);
  useEffect(() => {
    if (notes === current.current.notes) return;
    current.current.notes = notes;
    if (notes !== keeper.answers.notes) keep();
  }, [notes, keep, keeper]);
}

/** Renders again when the status of the draft changes. */
function useDraftStatus(keeper: DraftKeeper): DraftStatus {
  useSyncExternalStore(keeper.subscribe, () => `${keeper.status} ${keeper.savedAt}`);
  return keeper.status;
}

/** A status for the eye; screen readers read it when they come to it. */
function DraftStatusText({ keeper }: { keeper: DraftKeeper }) {
  const text = useWork().draft;
  const format = useFormat();
  const status = useDraftStatus(keeper);
  const texts: Record<DraftStatus, string> = {
    none: text.none,
    saving: text.saving,
    saved: keeper.savedAt === null ? text.none : text.saved(format.time(keeper.savedAt)),
    local: text.local,
    conflict: text.conflict,
  };
  return (
    <span className="small muted" data-draft={status}>
      {texts[status]}
    </span>
  );
}

function DraftConflict({ keeper, onOther }: { keeper: DraftKeeper; onOther: () => void }) {
  const text = useWork().draft;
  if (useDraftStatus(keeper) !== 'conflict') return null;
  const settle = (keepMine: boolean) => {
    if (keeper.settle(keepMine)) onOther();
  };
  return (
    <Banner
      tone="amber"
      live
      title={text.conflict}
      actions={
        <>
          <Button onClick={() => settle(true)}>{text.keepMine}</Button>
          <Button onClick={() => settle(false)}>{text.takeOther}</Button>
        </>
      }
    />
  );
}
