// The webhook deliveries of a task's events: each with its attempts, and a button to send it again.

import type { Delivery, DeliveryAttempt } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { problemText } from '../../shared/api/problem-text.ts';
import { queries } from '../../shared/api/queries.tsx';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { Badge, type Tone } from '../../shared/ui/badge.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { EmptyState, Facts, Skeleton } from '../../shared/ui/containers.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useMay } from '../member.tsx';
import { useTaskText } from '../messages.ts';
import { TASK_KEY } from '../org-events.tsx';

const TONES: Readonly<Record<Delivery['status'], Tone>> = {
  pending: 'blue',
  succeeded: 'green',
  exhausted: 'red',
  stopped: 'amber',
};

/** How often pending deliveries are asked for: no event tells of an attempt, ms. */
const POLL = 3000;

export function Deliveries({ taskId }: { taskId: string }) {
  const text = useTaskText().deliveries;
  const { data, error, isError, refetch } = useQuery({
    queryKey: [TASK_KEY, taskId, 'deliveries'],
    queryFn: ({ signal }) =>
      api.tasks.listDeliveries(taskId, { limit: 100 }, { signal }).then((page) => page.data),
    refetchInterval: ({ state }) =>
      state.data?.some(({ status }) => status === 'pending') === true ? POLL : false,
  });
  if (data === undefined)
    return isError ? <Problem error={error} onRetry={() => void refetch()} /> : <Skeleton lines={5} />;
  if (data.length === 0) return <EmptyState icon="link" title={text.none} />;
  return (
    <ul className="delivery-list" aria-label={text.table}>
      {data.map((delivery) => (
        <One key={delivery.delivery_id} taskId={taskId} delivery={delivery} />
      ))}
    </ul>
  );
}

function One({ taskId, delivery }: { taskId: string; delivery: Delivery }) {
  const text = useTaskText().deliveries;
  const types: Partial<Record<string, string>> = useTaskText().timeline.types;
  const shared = useShared();
  const format = useFormat();
  const toast = useToast();
  const mayRedeliver = useMay('webhooks:write');
  const [isBusy, setBusy] = useState(false);
  const redeliver = async () => {
    setBusy(true);
    try {
      await api.deliveries.redeliver(delivery.delivery_id);
      toast(text.redelivered);
      await queries.invalidateQueries({ queryKey: [TASK_KEY, taskId, 'deliveries'] });
    } catch (error) {
      toast(problemText(error, shared), 'red');
    } finally {
      setBusy(false);
    }
  };
  const { status, attempts, url, event_type, endpoint_id, next_attempt_at } = delivery;
  const last = attempts.at(-1);
  return (
    <li className="delivery">
      <div className="row row-between">
        <span className="row">
          <Badge tone={TONES[status]}>{text.statuses[status]}</Badge>
          <strong>{types[event_type] ?? event_type}</strong>
          <span className="muted delivery-url">{url ?? endpoint_id ?? text.callback}</span>
        </span>
        {mayRedeliver && status !== 'pending' && (
          <Button size="small" icon="refresh" busy={isBusy} onClick={() => void redeliver()}>
            {text.redeliver}
          </Button>
        )}
      </div>
      <p className="small muted">
        {last === undefined
          ? format.dateTime(delivery.created_at)
          : outcome(last, text.noAnswer, format.dateTime(last.at))}
        {next_attempt_at !== null && ` · ${text.next} ${format.relative(next_attempt_at)}`}
      </p>
      {attempts.length > 0 && (
        <details>
          <summary className="small">
            {text.show}: {format.number(attempts.length)}
          </summary>
          <div className="stack delivery-attempts">
            {attempts.map((attempt) => (
              <Attempt key={attempt.attempt} attempt={attempt} />
            ))}
          </div>
        </details>
      )}
    </li>
  );
}

function Attempt({ attempt }: { attempt: DeliveryAttempt }) {
  const text = useTaskText().deliveries;
  const format = useFormat();
  return (
    <section>
      <h3>
        {text.attempt(format.number(attempt.attempt))}:{' '}
        {outcome(attempt, text.noAnswer, format.dateTime(attempt.at))}
      </h3>
      <Facts
        facts={[
          [text.took, format.number(attempt.ms, { style: 'unit', unit: 'millisecond' })],
          [text.address, attempt.address],
          [text.error, attempt.error],
          [
            text.body,
            attempt.response_body === '' ? null : (
              <pre key="body" className="evidence-text">
                {attempt.response_body}
              </pre>
            ),
          ],
        ]}
      />
    </section>
  );
}

function outcome({ status }: DeliveryAttempt, noAnswer: string, at: string): string {
  return `${status === null ? noAnswer : `HTTP ${status}`}, ${at}`;
}
