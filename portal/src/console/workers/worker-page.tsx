// One worker: what they do now, how well they work, who they are, and how they sign in.

import type { Worker } from '@biolayer/sdk';
import { type ReactNode, useState } from 'react';
import { useLocation } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { Loaded } from '../../shared/api/loaded.tsx';
import type { Versioned } from '../../shared/api/versioned.ts';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Confirm } from '../../shared/ui/confirm.tsx';
import { Card, Facts } from '../../shared/ui/containers.tsx';
import { Segmented } from '../../shared/ui/field.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useAction } from '../../shared/ui/use-action.ts';
import { useMay } from '../member.tsx';
import { useConsole, useConsoleWorkers } from '../messages.ts';
import { usePoolName } from '../pools/pool-data.ts';
import { AvailabilityBadge } from './availability-badge.tsx';
import { Chips } from './chips.tsx';
import { Load } from './load.tsx';
import { WorkerAccess } from './worker-access.tsx';
import { inTime, renewWorkers, useWorker, useWorkerStats } from './worker-data.ts';
import { WorkerEdit } from './worker-edit.tsx';
import { WorkerNotices } from './worker-notices.tsx';
import { CurrentTasks, RecentTasks } from './worker-tasks.tsx';
import '../console.css';

type OpenDialog = 'edit' | 'drain' | 'remove' | null;

export function WorkerPage({ id }: { id: string }) {
  const query = useWorker(id);
  const { nav } = useConsole();
  if (query.data !== undefined) return <Shown worker={query.data} />;
  return (
    <Page title={nav.workers}>
      <Loaded query={query} lines={8}>
        {() => null}
      </Loaded>
    </Page>
  );
}

function Shown({ worker: versioned }: { worker: Versioned<Worker> }) {
  const worker = versioned.value;
  const text = useConsoleWorkers();
  const mayWrite = useMay('workers:write');
  const mayReadTasks = useMay('tasks:read');
  const [dialog, setDialog] = useState<OpenDialog>(null);
  const close = () => setDialog(null);
  return (
    <Page
      title={worker.name}
      heading={
        <div className="row">
          <h1>{worker.name}</h1>
          <AvailabilityBadge worker={worker} />
        </div>
      }
      actions={
        mayWrite && (
          <>
            <Button onClick={() => setDialog('edit')}>{text.edit}</Button>
            {!worker.draining && <Button onClick={() => setDialog('drain')}>{text.drain}</Button>}
            <Button icon="trash" onClick={() => setDialog('remove')}>
              {text.remove}
            </Button>
          </>
        )
      }
    >
      <div className="page-columns">
        <div className="stack">
          <Card title={text.now}>
            <NowLine worker={worker} />
            {mayReadTasks && <CurrentTasks workerId={worker.worker_id} />}
          </Card>
          {mayReadTasks && (
            <Card title={text.recent}>
              <RecentTasks workerId={worker.worker_id} />
            </Card>
          )}
        </div>
        <div className="stack">
          <TrackRecord worker={worker} />
          <Profile worker={worker} />
          {mayWrite && <WorkerAccess worker={worker} />}
          <WorkerNotices workerId={worker.worker_id} />
        </div>
      </div>
      {dialog === 'edit' && <WorkerEdit worker={versioned} onClose={close} />}
      {dialog === 'drain' && <DrainDialog worker={worker} onClose={close} />}
      {dialog === 'remove' && <RemoveDialog worker={worker} onClose={close} />}
    </Page>
  );
}

function NowLine({ worker }: { worker: Worker }) {
  const text = useConsoleWorkers();
  const shared = useShared();
  const mayWrite = useMay('workers:write');
  const { isBusy, run } = useAction();
  const { worker_id, name } = worker;
  const choices = (['available', 'away', 'offline'] as const).map((value) => ({
    value,
    label: shared.availability[value],
  }));
  return (
    <div className="row row-between">
      {mayWrite && (
        <Segmented
          label={text.availability}
          value={worker.availability}
          options={choices}
          disabled={isBusy}
          onChange={(availability) =>
            run(
              async () => {
                await api.workers.update(worker_id, { availability });
                await renewWorkers();
              },
              text.setAvailability(name, shared.availability[availability]),
            )
          }
        />
      )}
      <Load active={worker.active_tasks} capacity={worker.capacity} />
    </div>
  );
}

function TrackRecord({ worker }: { worker: Worker }) {
  const text = useConsoleWorkers();
  const format = useFormat();
  const stats = useWorkerStats().get(worker.worker_id);
  const share = (value: number | null): ReactNode =>
    value === null ? <span className="muted">{text.notKnown}</span> : format.percent(value);
  const handling = stats?.handling_seconds.p50 ?? null;
  return (
    <Card title={text.record}>
      <Facts
        facts={[
          [
            text.columns.rating,
            `${format.number(worker.rating, { maximumFractionDigits: 2 })} · ${text.ratings(worker.rating_count)}`,
          ],
          [
            text.columns.accuracy,
            worker.accuracy === null
              ? share(null)
              : `${format.percent(worker.accuracy)} · ${text.answers(worker.accuracy_count)}`,
          ],
          [text.columns.sla, share(inTime(stats))],
          [text.acceptance, share(worker.acceptance_rate)],
          [text.lapsed, share(worker.lapse_rate)],
          [text.completed, stats === undefined ? null : format.number(stats.completed)],
          [text.handling, handling === null ? null : format.duration(handling * 1000)],
        ]}
      />
    </Card>
  );
}

function Profile({ worker }: { worker: Worker }) {
  const text = useConsoleWorkers();
  const shared = useShared();
  const format = useFormat();
  const poolName = usePoolName();
  const { fields } = text;
  return (
    <Card title={text.profile}>
      <Facts
        facts={[
          [fields.worker_id, <code key="id">{worker.worker_id}</code>],
          [
            fields.pool_ids,
            worker.pool_ids.length === 0 ? (
              text.noPools
            ) : (
              <Chips key="pools" items={worker.pool_ids.map(poolName)} most={100} />
            ),
          ],
          [fields.unpooled_tasks, worker.unpooled_tasks ? shared.yes : shared.no],
          [fields.skills, <Chips key="skills" items={worker.skills} most={200} />],
          [fields.certifications, <Chips key="certifications" items={worker.certifications} most={200} />],
          [fields.trust_level, format.number(worker.trust_level)],
          [
            text.columns.lastSeen,
            worker.last_seen_at == null ? text.never : format.relative(worker.last_seen_at),
          ],
          [text.created, format.dateTime(worker.created_at)],
        ]}
      />
    </Card>
  );
}

function DrainDialog({ worker, onClose }: { worker: Worker; onClose: () => void }) {
  const text = useConsoleWorkers();
  const showToast = useToast();
  return (
    <Confirm
      title={text.drainTitle(worker.name)}
      action={text.drain}
      danger={false}
      onClose={onClose}
      run={async () => {
        await api.workers.drain(worker.worker_id, {});
        await renewWorkers();
        showToast(text.drained);
      }}
    >
      <p>{text.drainText}</p>
    </Confirm>
  );
}

function RemoveDialog({ worker, onClose }: { worker: Worker; onClose: () => void }) {
  const text = useConsoleWorkers();
  const showToast = useToast();
  const [, navigate] = useLocation();
  return (
    <Confirm
      title={text.removeTitle(worker.name)}
      action={text.remove}
      onClose={onClose}
      run={async () => {
        await api.workers.delete(worker.worker_id);
        showToast(text.removed(worker.name));
        navigate('/console/workers');
        await renewWorkers();
      }}
    >
      <p>{text.removeText}</p>
    </Confirm>
  );
}
