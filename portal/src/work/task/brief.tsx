// What a worker needs to know of a task: instructions, context, and set apart what to keep to and what to watch out for.

import type { OfferedTask, WorkerTask } from '@biolayer/sdk';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Markdown } from '../../shared/markdown/markdown.tsx';
import { useNow } from '../../shared/time/now.ts';
import { Badge } from '../../shared/ui/badge.tsx';
import { Banner, Card } from '../../shared/ui/containers.tsx';
import { Icon } from '../../shared/ui/icons.tsx';
import { useWork } from '../messages.ts';

export function TaskFacts({ task }: { task: OfferedTask }) {
  const text = useWork().task;
  const format = useFormat();
  const now = useNow(30_000);
  const { deadline } = task.sla;
  const isLate = deadline !== undefined && Date.parse(deadline) < now;
  return (
    <p className="row small muted">
      {deadline !== undefined && (
        <>
          <span>
            {text.deadline} <time dateTime={deadline}>{format.dateTime(deadline)}</time> (
            {format.relative(deadline)})
          </span>
          {isLate && <Badge tone="red">{text.overdue}</Badge>}
        </>
      )}
      <span>
        {text.type}: {task.task_type}
      </span>
      <span>
        {text.domain}: {task.domain}
      </span>
      {task.attempt > 1 && (
        <span>
          {text.attempt} {format.number(task.attempt)}
        </span>
      )}
    </p>
  );
}

export function Brief({ task }: { task: WorkerTask }) {
  const text = useWork().task;
  const { background, constraints = [], risk_notes: risks = [], data } = task.context ?? {};
  return (
    <>
      {task.feedback !== null && task.status !== 'completed' && (
        <Banner
          tone="amber"
          title={
            <span className="row">
              <Icon name="warning" />
              {text.feedback}
            </span>
          }
        >
          <p className="plain-text">{task.feedback}</p>
        </Banner>
      )}
      <Card title={text.instructions}>
        <Markdown text={task.instructions} />
      </Card>
      {constraints.length > 0 && (
        <Notes tone="blue" icon="info" title={text.constraints} notes={constraints} />
      )}
      {risks.length > 0 && <Notes tone="red" icon="warning" title={text.risks} notes={risks} />}
      {background !== undefined && background !== '' && (
        <Card title={text.background}>
          <Markdown text={background} />
        </Card>
      )}
      {data !== undefined && Object.keys(data).length > 0 && (
        <Card title={text.data}>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard. */}
          <pre className="data" tabIndex={0}>
            {JSON.stringify(data, null, 2)}
          </pre>
        </Card>
      )}
    </>
  );
}

function Notes({
  tone,
  icon,
  title,
  notes,
}: {
  tone: 'blue' | 'red';
  icon: 'info' | 'warning';
  title: string;
  notes: readonly string[];
}) {
  return (
    <Banner
      tone={tone}
      title={
        <span className="row">
          <Icon name={icon} />
          {title}
        </span>
      }
    >
      <ul className="note-list">
        {notes.map((note) => (
          <li key={note} className="plain-text">
            {note}
          </li>
        ))}
      </ul>
    </Banner>
  );
}
