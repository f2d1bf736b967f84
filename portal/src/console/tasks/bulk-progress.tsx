// Changes of many tasks that run or have just ended, with their progress. They go on without this page, and are shown again
// when it is opened later.

import type { BulkAction } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { problemText } from '../../shared/api/problem-text.ts';
import { queries } from '../../shared/api/queries.tsx';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { serverNow } from '../../shared/time/now.ts';
import { Badge, type Tone } from '../../shared/ui/badge.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Banner } from '../../shared/ui/containers.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useMember } from '../member.tsx';
import { useTasks } from '../messages.ts';
import { hasScope } from '../session.ts';
import { actionsOf, BULK_KEY, isRunning } from './bulk-actions.ts';

/** How often a running one is asked for, ms. */
const POLL = 1000;
/** How long one that has ended is shown, ms. */
const SHOWN_FOR = 10 * 60_000;

const TONES: Readonly<Record<BulkAction['status'], Tone>> = {
  pending: 'blue',
  running: 'blue',
  completed: 'green',
  cancelled: 'grey',
  failed: 'red',
};

export function BulkProgress() {
  const text = useTasks().bulk;
  const member = useMember();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const { data } = useQuery({
    queryKey: BULK_KEY,
    queryFn: () => api.bulkActions.list({ limit: 10 }).then((page) => page.data),
    enabled: actionsOf((scope) => hasScope(member, scope)).length > 0,
    refetchInterval: ({ state }) => (state.data?.some(isRunning) === true ? POLL : false),
  });
  const shown = data?.filter((one) => isShown(one) && !hidden.has(one.bulk_action_id)) ?? [];
  if (shown.length === 0) return null;
  return (
    <section className="stack stack-tight" aria-label={text.progress}>
      {shown.map((one) => (
        <Running
          key={one.bulk_action_id}
          bulk={one}
          onHide={() => setHidden(new Set([...hidden, one.bulk_action_id]))}
        />
      ))}
    </section>
  );
}

function isShown(bulk: BulkAction): boolean {
  return isRunning(bulk) || serverNow() - Date.parse(bulk.finished_at ?? bulk.updated_at) < SHOWN_FOR;
}

function Running({ bulk, onHide }: { bulk: BulkAction; onHide: () => void }) {
  const text = useTasks().bulk;
  const shared = useShared();
  const format = useFormat();
  const toast = useToast();
  const stop = async () => {
    try {
      await api.bulkActions.cancel(bulk.bulk_action_id);
    } catch (error) {
      toast(problemText(error, shared), 'red');
    }
    await queries.invalidateQueries({ queryKey: BULK_KEY });
  };
  return (
    <Banner
      tone={TONES[bulk.status]}
      title={
        <span className="row">
          {text.actions[bulk.action]}
          <Badge tone={TONES[bulk.status]}>{text.statuses[bulk.status]}</Badge>
        </span>
      }
      actions={
        isRunning(bulk) ? (
          <Button size="small" onClick={() => void stop()}>
            {text.stop}
          </Button>
        ) : (
          <Button size="small" look="quiet" icon="close" label={text.dismiss} onClick={onHide} />
        )
      }
    >
      <p className="small numeric">
        {text.done(bulk.done)} · {text.failed(bulk.failed)} · {text.skipped(bulk.skipped)}
        {bulk.total !== null && ` / ${format.number(bulk.total)}`}
      </p>
      {isRunning(bulk) && (
        <progress
          className="progress"
          aria-label={text.actions[bulk.action]}
          {...(bulk.total !== null && { value: bulk.matched, max: Math.max(1, bulk.total) })}
        />
      )}
      {bulk.status === 'failed' && <p>{text.stopped}</p>}
      {bulk.failed > 0 && !isRunning(bulk) && <Refused id={bulk.bulk_action_id} />}
    </Banner>
  );
}

/** The tasks that refused, with the reason. */
function Refused({ id }: { id: string }) {
  const text = useTasks().bulk;
  const { data } = useQuery({ queryKey: [...BULK_KEY, id], queryFn: () => api.bulkActions.get(id) });
  return (
    <details>
      <summary>{text.refused}</summary>
      <ul className="plain-list small">
        {data?.failures?.map(({ task_id, detail }) => (
          <li key={task_id}>
            <Link href={`/console/tasks/${task_id}`}>{task_id}</Link>: {detail}
          </li>
        ))}
      </ul>
    </details>
  );
}
