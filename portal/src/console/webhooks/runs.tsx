// Work in the background that sends events again or stops deliveries: its progress, which is followed while it runs, and its end.

import type { DeliveryStop, Redelivery, Replay } from '@biolayer/sdk';
import type { ReactNode } from 'react';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Badge, type Tone } from '../../shared/ui/badge.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { useAction } from '../../shared/ui/use-action.ts';
import { useMay } from '../member.tsx';
import { useConsoleWebhooks } from '../messages.ts';
import { renewWebhooks, useEndpoints } from './endpoint-data.ts';
import './webhooks.css';

type Run = Replay | Redelivery | DeliveryStop;

const TONES: Readonly<Record<Run['status'], Tone>> = {
  running: 'blue',
  completed: 'green',
  cancelled: 'grey',
  stopped: 'amber',
};

/** How often a list is renewed while something in it runs, and otherwise, ms. */
const FOLLOW = 1500;
const REFRESH = 15_000;

/** Time between two looks at runs, ms. */
export function paceOf(runs: readonly Run[] | undefined): number {
  return runs?.some((run) => run.status === 'running') ? FOLLOW : REFRESH;
}

/** Names the receiver of a run. */
export function useReceiverName(): (run: Redelivery | DeliveryStop) => string {
  const { toAny } = useConsoleWebhooks();
  const endpoints = useEndpoints().items ?? [];
  return ({ endpoint_id, callback_url }) =>
    callback_url ?? endpoints.find((one) => one.endpoint_id === endpoint_id)?.url ?? endpoint_id ?? toAny;
}

/** @param what names what is sent again, or the receiver. @param onCancel ends it. */
export function RunItem({
  run,
  what,
  onCancel,
}: {
  run: Run;
  what: ReactNode;
  onCancel: () => PromiseLike<unknown>;
}) {
  const text = useConsoleWebhooks();
  const format = useFormat();
  const mayWrite = useMay('webhooks:write');
  const action = useAction();
  const isRunning = run.status === 'running';
  const cancel = async () => {
    await onCancel();
    await renewWebhooks();
  };
  return (
    <div className={`run tone-${TONES[run.status]}`}>
      <div className="row row-between">
        <span className="row">
          <Badge tone={TONES[run.status]}>{text.runStatus[run.status]}</Badge>
          {'reason' in run && run.reason !== null && (
            <span className="small">{text.stopReason[run.reason]}</span>
          )}
          <span className="url">{what}</span>
        </span>
        {isRunning && mayWrite && (
          <Button
            size="small"
            busy={action.isBusy}
            onClick={() => action.run(cancel, 'stopped' in run ? text.stopCancelled : text.cancelled)}
          >
            {text.cancelRun}
          </Button>
        )}
      </div>
      {isRunning && <progress className="progress" max={1} value={shareOf(run)} aria-label={text.progress} />}
      <p className="small numeric">
        <Counts run={run} />
      </p>
      <p className="small muted">
        {Date.parse(run.since) > 0
          ? text.range(format.dateTime(run.since), format.dateTime(run.until))
          : text.rangeUntil(format.dateTime(run.until))}{' '}
        · {format.relative(run.created_at)}
      </p>
    </div>
  );
}

function Counts({ run }: { run: Run }) {
  const text = useConsoleWebhooks();
  const count = useFormat().number;
  if ('stopped' in run)
    return run.hint !== null ? text.nothingStopped : text.stopCounts(count(run.examined), count(run.stopped));
  if (run.hint !== null && run.sent === 0) return text.nothingSent;
  return text.counts(count(run.examined), count(run.sent), count(run.succeeded), count(run.failed));
}

/** How much of the time range has been examined, from 0 to 1; undefined for a run that does not go by time. */
function shareOf(run: Run): number | undefined {
  if ('stopped' in run) return undefined;
  const { since, until, reached_at } = run;
  if (reached_at === null) return 0;
  const [from, to, at] = [since, until, reached_at].map((time) => Date.parse(time)) as [
    number,
    number,
    number,
  ];
  return to <= from ? 1 : Math.min(1, Math.max(0, (at - from) / (to - from)));
}
