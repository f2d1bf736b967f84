// The form that changes a worker. Their load changes by itself all the time, so only fields of the form count as a conflict.

import { ApiError, type Worker } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { saveIfUnchanged, type Versioned } from '../../shared/api/versioned.ts';
import { useForm } from '../../shared/forms/use-form.ts';
import { useShared } from '../../shared/i18n/messages.tsx';
import { Banner } from '../../shared/ui/containers.tsx';
import { FormDialog } from '../../shared/ui/form-dialog.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useConsoleWorkers } from '../messages.ts';
import { readWorker, renewWorkers } from './worker-data.ts';
import { changesOf, draftFaults, draftOf, WORKER_FIELDS } from './worker-draft.ts';
import { WorkerFields } from './worker-fields.tsx';

export function WorkerEdit({ worker, onClose }: { worker: Versioned<Worker>; onClose: () => void }) {
  const text = useConsoleWorkers();
  const { save: saveLabel, saved } = useShared();
  const showToast = useToast();
  const [seen, setSeen] = useState(worker);
  const [isStale, setStale] = useState(false);
  const [first] = useState(() => draftOf(worker.value));
  const [draft, setDraft] = useState(first);
  const id = worker.value.worker_id;
  const form = useForm({
    labels: text.fields,
    check: () => draftFaults(draft, text),
    save: async () => {
      const changes = changesOf(first, draft);
      try {
        await saveIfUnchanged(
          seen,
          WORKER_FIELDS,
          () => readWorker(id),
          (options) => api.workers.update(id, changes, options),
        );
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 412)) throw error;
        // Shown beside the form; saving again is then the person's decision.
        setSeen(await readWorker(id));
        setStale(true);
        return;
      }
      await renewWorkers();
      showToast(saved);
      onClose();
    },
  });
  return (
    <FormDialog
      title={text.editTitle(worker.value.name)}
      form={form}
      action={saveLabel}
      onClose={onClose}
      wide
    >
      {isStale && (
        <Banner tone="amber" live title={text.stale}>
          <Current before={worker.value} now={seen.value} />
        </Banner>
      )}
      <WorkerFields form={form} draft={draft} isNew={false} onChange={setDraft} />
    </FormDialog>
  );
}

/** The values of the fields that differ from those that the form began with. */
function Current({ before, now }: { before: Worker; now: Worker }) {
  const { fields } = useConsoleWorkers();
  const { none, yes, no } = useShared();
  const shown = (value: unknown) =>
    Array.isArray(value)
      ? value.join(', ') || none
      : typeof value === 'boolean'
        ? value
          ? yes
          : no
        : String(value);
  return (
    <ul className="plain-list">
      {WORKER_FIELDS.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name])).map(
        (name) => (
          <li key={name}>
            {fields[name]}: <strong>{shown(now[name])}</strong>
          </li>
        ),
      )}
    </ul>
  );
}
