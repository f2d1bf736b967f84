// The history of a task: who did what and when, newest last, with its hash chain checked in this page.

import type { HistoryEntry, HistoryHead } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { api } from '../../shared/api/client.ts';
import { useFormat } from '../../shared/i18n/messages.tsx';
import type { Tone } from '../../shared/ui/badge.tsx';
import { Banner, Facts, Skeleton } from '../../shared/ui/containers.tsx';
import { Icon } from '../../shared/ui/icons.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { useTaskText } from '../messages.ts';
import { TASK_KEY } from '../org-events.tsx';
import { ValueView } from '../submission/value-view.tsx';
import { useActorName } from './actor.ts';
import { canCheck, firstBroken } from './history-check.ts';

interface History {
  entries: HistoryEntry[];
  head: HistoryHead | null;
  /** Sequence number of the first entry that is wrong; null for none; undefined when it could not be checked. */
  broken: number | null | undefined;
}

async function loadHistory(taskId: string, signal: AbortSignal): Promise<History> {
  const entries: HistoryEntry[] = [];
  let head: HistoryHead | null = null;
  for await (const page of api.tasks.listEvents(taskId, { limit: 200 }, { signal }).pages()) {
    entries.push(...page.data);
    head = page.head;
  }
  return { entries, head, broken: canCheck ? await firstBroken(entries, head) : undefined };
}

const TONES: Readonly<Partial<Record<HistoryEntry['type'], Tone>>> = {
  'task.completed': 'green',
  'task.verified': 'green',
  'task.failed': 'red',
  'task.sla_breached': 'red',
  'task.reported': 'amber',
  'task.disputed': 'amber',
  'task.escalated': 'amber',
  'task.submitted': 'violet',
};

export function Timeline({ taskId }: { taskId: string }) {
  const text = useTaskText().timeline;
  const format = useFormat();
  const { data, error, isError, refetch } = useQuery({
    queryKey: [TASK_KEY, taskId, 'history'],
    queryFn: ({ signal }) => loadHistory(taskId, signal),
  });
  if (data === undefined)
    return isError ? <Problem error={error} onRetry={() => void refetch()} /> : <Skeleton lines={8} />;
  const { entries, broken } = data;
  return (
    <div className="stack">
      {broken === undefined ? (
        <Banner title={text.uncheckable} />
      ) : broken === null ? (
        <p className="timeline-valid">
          <Icon name="check" />
          {text.valid}
        </p>
      ) : (
        <Banner tone="red" live title={text.broken(format.number(broken))} />
      )}
      <ol className="timeline">
        {entries.map((entry) => (
          <Entry
            key={entry.event_id}
            entry={entry}
            isBroken={typeof broken === 'number' && entry.sequence >= broken}
          />
        ))}
      </ol>
    </div>
  );
}

function Entry({ entry, isBroken }: { entry: HistoryEntry; isBroken: boolean }) {
  const text = useTaskText().timeline;
  const format = useFormat();
  const actorName = useActorName();
  const types: Partial<Record<string, string>> = text.types;
  return (
    <li className={`timeline-entry tone-${isBroken ? 'red' : (TONES[entry.type] ?? 'grey')}`}>
      <div className="row row-between">
        <span>
          <strong>{types[entry.type] ?? entry.type}</strong>{' '}
          <span className="muted">{actorName(entry.actor)}</span>
        </span>
        <time className="small muted numeric" dateTime={entry.at} title={format.relative(entry.at)}>
          {format.dateTime(entry.at)}
        </time>
      </div>
      <details>
        <summary className="small muted">{text.details}</summary>
        <div className="stack stack-tight timeline-details">
          {Object.keys(entry.data).length > 0 && <ValueView value={entry.data} />}
          <Facts
            facts={[
              [text.eventId, <code key="id">{entry.event_id}</code>],
              [text.hash, <code key="hash">{entry.hash}</code>],
              [text.previousHash, entry.previous_hash && <code key="previous">{entry.previous_hash}</code>],
            ]}
          />
        </div>
      </details>
    </li>
  );
}
