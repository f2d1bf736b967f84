// Invites a worker: creates them and a link with which they sign in.

import type { Worker } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { useForm } from '../../shared/forms/use-form.ts';
import { Button, ButtonLink } from '../../shared/ui/button.tsx';
import { Card } from '../../shared/ui/containers.tsx';
import { ErrorSummary } from '../../shared/ui/error-summary.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useMember } from '../member.tsx';
import { useConsoleWorkers } from '../messages.ts';
import { SignInLink } from './sign-in-link.tsx';
import { renewWorkers } from './worker-data.ts';
import { draftFaults, emptyDraft, fieldsOf, type WorkerDraft } from './worker-draft.ts';
import { WorkerFields } from './worker-fields.tsx';

export function InvitePage() {
  const text = useConsoleWorkers();
  const { pools = ['*'] } = useMember();
  const firstDraft = () => emptyDraft(pools.includes('*') ? [] : pools);
  const [draft, setDraft] = useState<WorkerDraft>(firstDraft);
  const [made, setMade] = useState<Worker | null>(null);
  const form = useForm({
    labels: text.fields,
    check: () => draftFaults(draft, text),
    save: async () => {
      const { unpooled_tasks, ...fields } = fieldsOf(draft);
      const worker = await api.workers.create({
        ...fields,
        ...(pools.includes('*') && { unpooled_tasks }),
        ...(draft.worker_id !== '' && { worker_id: draft.worker_id }),
      });
      setMade(worker);
      await renewWorkers();
    },
  });
  if (made !== null)
    return (
      <Invited
        worker={made}
        onAnother={() => {
          setMade(null);
          setDraft(firstDraft());
        }}
      />
    );
  return (
    <Page title={text.createTitle} narrow>
      <p className="muted">{text.inviteHint}</p>
      <form className="stack stack-loose" noValidate onSubmit={form.onSubmit}>
        <ErrorSummary {...form.summary} />
        <WorkerFields form={form} draft={draft} isNew onChange={setDraft} />
        <div>
          <Button look="primary" size="large" type="submit" busy={form.isBusy}>
            {text.inviteAction}
          </Button>
        </div>
      </form>
    </Page>
  );
}

function Invited({ worker, onAnother }: { worker: Worker; onAnother: () => void }) {
  const text = useConsoleWorkers();
  return (
    <Page title={text.invited(worker.name)} narrow>
      <Card>
        <SignInLink workerId={worker.worker_id} startsNow />
      </Card>
      <div className="row">
        <ButtonLink look="primary" href={`/console/workers/${encodeURIComponent(worker.worker_id)}`}>
          {text.toWorker}
        </ButtonLink>
        <Button onClick={onAnother}>{text.another}</Button>
      </div>
    </Page>
  );
}
