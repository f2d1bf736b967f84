// Deliveries with all their attempts: what was sent when, and what the receiver answered.

import type { Delivery, DeliveryAttempt } from '@biolayer/sdk';
import { Link } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Badge, type Tone } from '../../shared/ui/badge.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { useAction } from '../../shared/ui/use-action.ts';
import { useMay } from '../member.tsx';
import { useConsoleWebhooks } from '../messages.ts';
import { renewWebhooks } from './endpoint-data.ts';
import './webhooks.css';

const TONES: Readonly<Record<Delivery['status'], Tone>> = {
  pending: 'blue',
  succeeded: 'green',
  exhausted: 'red',
  stopped: 'amber',
};

/** @param withUrl names the receiver, in a list of several. */
export function DeliveryList({
  deliveries,
  withUrl = false,
}: {
  deliveries: readonly Delivery[];
  withUrl?: boolean;
}) {
  return (
    <ul className="deliveries">
      {deliveries.map((delivery) => (
        <li key={delivery.delivery_id}>
          <Item delivery={delivery} withUrl={withUrl} />
        </li>
      ))}
    </ul>
  );
}

function Item({ delivery, withUrl }: { delivery: Delivery; withUrl: boolean }) {
  const text = useConsoleWebhooks();
  const format = useFormat();
  const mayWrite = useMay('webhooks:write');
  const { isBusy, run } = useAction();
  const { attempts, task_id, next_attempt_at: next } = delivery;
  const last = attempts.at(-1);
  const redeliver = async () => {
    await api.deliveries.redeliver(delivery.delivery_id, {});
    await renewWebhooks();
  };
  return (
    <details className="delivery">
      <summary>
        <span className="delivery-line">
          <Badge tone={TONES[delivery.status]}>{text.deliveryStatus[delivery.status]}</Badge>
          <code>{delivery.event_type}</code>
          <span className="muted small">
            {text.attemptCount(attempts.length)}
            {last !== undefined && ` · ${outcomeOf(last, text.noAnswer)}`}
          </span>
          <time className="muted small" dateTime={delivery.created_at}>
            {format.dateTime(delivery.created_at)}
          </time>
        </span>
        {withUrl && delivery.url !== null && <span className="delivery-url small muted">{delivery.url}</span>}
      </summary>
      <div className="delivery-detail">
        <div className="row row-between">
          <p className="small">
            {task_id === null ? (
              text.testEvent
            ) : (
              <Link href={`/console/tasks/${task_id}`}>
                {text.task} <code>{task_id}</code>
              </Link>
            )}
          </p>
          {mayWrite && (
            <Button
              size="small"
              icon="refresh"
              busy={isBusy}
              onClick={() => run(redeliver, text.redelivered)}
            >
              {text.redeliver}
            </Button>
          )}
        </div>
        {attempts.length === 0 && <p className="muted small">{text.noAttempts}</p>}
        {next !== null && <p className="small">{text.nextAttempt(format.relative(next))}</p>}
        <ol className="attempts">
          {attempts.toReversed().map((attempt) => (
            <li key={attempt.attempt}>
              <Attempt attempt={attempt} />
            </li>
          ))}
        </ol>
      </div>
    </details>
  );
}

function outcomeOf({ status, error }: DeliveryAttempt, noAnswer: string): string {
  return status === null ? (error ?? noAnswer) : `HTTP ${status}`;
}

function Attempt({ attempt }: { attempt: DeliveryAttempt }) {
  const text = useConsoleWebhooks();
  const format = useFormat();
  const isGood = attempt.status !== null && attempt.status >= 200 && attempt.status < 300;
  return (
    <div className="stack stack-tight">
      <div className="row">
        <strong>{text.attempt(format.number(attempt.attempt))}</strong>
        <Badge tone={isGood ? 'green' : 'red'}>
          {attempt.status === null ? text.noAnswer : `HTTP ${attempt.status}`}
        </Badge>
        <span className="muted small">
          {format.dateTime(attempt.at)} · {format.number(attempt.ms)} ms
          {attempt.address !== null && ` · ${text.address} ${attempt.address}`}
        </span>
      </div>
      {attempt.error !== null && <p className="small">{attempt.error}</p>}
      {attempt.status !== null &&
        (attempt.response_body === '' ? (
          <p className="small muted">{text.emptyAnswer}</p>
        ) : (
          <pre className="answer">{attempt.response_body}</pre>
        ))}
    </div>
  );
}
