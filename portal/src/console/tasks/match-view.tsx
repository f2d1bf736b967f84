// Why a task is not matched, and what would help.

import type { Match } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { api } from '../../shared/api/client.ts';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { Banner, Card, Facts, Skeleton, Table } from '../../shared/ui/containers.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { useTaskText } from '../messages.ts';
import { TASK_KEY } from '../org-events.tsx';
import { usePoolName, useWorkerName } from '../people.ts';

/** Workers come and go without an event of the task, so the explanation is renewed, ms. */
const POLL = 10_000;

export function MatchView({ taskId }: { taskId: string }) {
  const text = useTaskText().match;
  const { data, error, isError, refetch } = useQuery({
    queryKey: [TASK_KEY, taskId, 'match'],
    queryFn: ({ signal }) => api.tasks.explainMatch(taskId, { signal }),
    refetchInterval: POLL,
  });
  if (data === undefined)
    return isError ? <Problem error={error} onRetry={() => void refetch()} /> : <Skeleton lines={6} />;
  const isStuck = ['nobody_qualifies', 'away', 'at_capacity', 'cooling_down'].includes(data.reason);
  return (
    <div className="stack">
      <Banner tone={isStuck ? 'amber' : 'blue'} title={text.reasons[data.reason]}>
        <p>{text.next[data.reason]}</p>
      </Banner>
      <div className="task-columns">
        <Funnel match={data} />
        <Unavailable match={data} />
      </div>
      <Requirements match={data} />
      <Nearest match={data} />
    </div>
  );
}

function Funnel({ match }: { match: Match }) {
  const text = useTaskText().match;
  const format = useFormat();
  const { workers, queue, estimated_wait_seconds, ask_again_at, next_step_at } = match;
  return (
    <Card title={text.funnel}>
      <Facts
        facts={[
          [text.considered, format.number(workers.considered)],
          [text.qualified, format.number(workers.qualified)],
          [text.available, format.number(workers.available)],
          [text.eligible, format.number(workers.eligible)],
          [
            text.position,
            queue && text.positionOf(format.number(queue.position), format.number(queue.same_requirements)),
          ],
          [
            text.wait,
            estimated_wait_seconds === null ? null : format.duration(estimated_wait_seconds * 1000),
          ],
          [text.askAgain, ask_again_at && format.relative(ask_again_at)],
          [text.nextStep, next_step_at && format.relative(next_step_at)],
        ]}
      />
    </Card>
  );
}

function Unavailable({ match: { unavailable } }: { match: Match }) {
  const text = useTaskText().match;
  const format = useFormat();
  return (
    <Card title={text.unavailable}>
      <Facts
        facts={[
          [text.offline, format.number(unavailable.offline)],
          [text.away, format.number(unavailable.away)],
          [text.atCapacity, format.number(unavailable.at_capacity)],
          [text.coolingDown, format.number(unavailable.cooling_down)],
        ]}
      />
    </Card>
  );
}

type Requirement = Pick<Match['requirements'][number], 'requirement' | 'wanted'>;

/** A function from a requirement to its name and its value in words. */
function useRequirementWords() {
  const names: Partial<Record<string, string>> = useTaskText().requirementNames;
  const shared = useShared();
  const format = useFormat();
  const workerName = useWorkerName();
  const poolName = usePoolName();
  return ({ requirement, wanted }: Requirement): readonly [name: string, wanted: string] => {
    const name = names[requirement] ?? requirement;
    if (Array.isArray(wanted)) {
      const words = requirement.endsWith('worker_ids') ? wanted.map(workerName) : wanted;
      return [name, format.list(words)];
    }
    if (typeof wanted === 'number') return [name, format.number(wanted)];
    if (typeof wanted === 'boolean') return [name, wanted ? shared.yes : shared.no];
    return [name, requirement === 'worker_pool_id' ? poolName(wanted) : wanted];
  };
}

function Requirements({ match: { requirements } }: { match: Match }) {
  const text = useTaskText().match;
  const format = useFormat();
  const words = useRequirementWords();
  if (requirements.length === 0) return <p className="muted">{text.noRequirements}</p>;
  return (
    <section className="stack stack-tight">
      <h2>{text.requirements}</h2>
      <Table label={text.requirements}>
        <thead>
          <tr>
            <th>{text.requirement}</th>
            <th>{text.wanted}</th>
            <th className="cell-end">{text.rulesOut}</th>
          </tr>
        </thead>
        <tbody>
          {requirements.map((one) => {
            const [name, wanted] = words(one);
            return (
              <tr key={one.requirement}>
                <td>{name}</td>
                <td>{wanted}</td>
                <td className="cell-end numeric">{format.number(one.rules_out)}</td>
              </tr>
            );
          })}
        </tbody>
      </Table>
    </section>
  );
}

function Nearest({ match: { nearest_misses } }: { match: Match }) {
  const text = useTaskText().match;
  const format = useFormat();
  const workerName = useWorkerName();
  const words = useRequirementWords();
  if (nearest_misses.length === 0) return null;
  return (
    <section className="stack stack-tight">
      <h2>{text.nearest}</h2>
      <ul className="plain-list">
        {nearest_misses.map(({ worker_id, lacks }) => (
          <li key={worker_id}>
            <strong>{workerName(worker_id)}</strong>:{' '}
            {format.list(
              lacks.map((one) => {
                const [name, wanted] = words(one);
                return text.lacks(`${name} ${wanted}`, one.has === undefined ? '' : format.number(one.has));
              }),
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
