// A JSON value for people: members as rows, items as a list, text as text. Everything in it may be hostile, so it is only
// ever shown as text. Long lists and deep values are shown step by step.

import { useState } from 'react';
import { type Described, memberOf } from '../../shared/forms/titles.ts';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { useTaskText } from '../messages.ts';
import './value-view.css';

/** Members or items that are shown at first. */
const FIRST = 50;
/** Levels that are shown as rows; deeper ones as JSON. */
const DEEPEST = 5;

/** @param described what the schema says of the value, if there is one: its titles stand in place of names */
export function ValueView({
  value,
  described,
  depth = 0,
}: {
  value: unknown;
  described?: Described | undefined;
  depth?: number;
}) {
  const text = useTaskText().submission;
  const shared = useShared();
  if (value === null || value === undefined || value === '')
    return <span className="muted">{text.empty}</span>;
  if (typeof value === 'boolean') return value ? shared.yes : shared.no;
  if (typeof value === 'string') return <span className="plain-text">{value}</span>;
  if (typeof value !== 'object') return <span className="numeric">{String(value)}</span>;
  if (depth >= DEEPEST) return <pre className="value-json">{JSON.stringify(value, null, 2)}</pre>;
  return <Members value={value} described={described} depth={depth} />;
}

function Members({
  value,
  described,
  depth,
}: {
  value: object;
  described: Described | undefined;
  depth: number;
}) {
  const text = useTaskText().submission;
  const format = useFormat();
  const [shown, setShown] = useState(FIRST);
  const isList = Array.isArray(value);
  const members = Object.entries(value);
  if (members.length === 0) return <span className="muted">{text.empty}</span>;
  const rest = members.length - shown;
  if (isList && members.every(([, one]) => typeof one !== 'object'))
    return (
      <>
        <ul className="value-list">
          {members.slice(0, shown).map(([at, one]) => (
            <li key={at}>
              <ValueView value={one} depth={depth + 1} />
            </li>
          ))}
        </ul>
        {rest > 0 && <More rest={rest} onMore={() => setShown(shown + 10 * FIRST)} />}
      </>
    );
  return (
    <>
      <dl className="value-members">
        {members.slice(0, shown).map(([name, one]) => {
          const member = described && memberOf(described, isList ? Number(name) : name);
          const label = isList ? text.item(format.number(Number(name) + 1)) : name;
          return (
            <div key={name} className="value-member">
              <dt title={label}>{member?.title ?? label}</dt>
              <dd>
                <ValueView value={one} described={member} depth={depth + 1} />
              </dd>
            </div>
          );
        })}
      </dl>
      {rest > 0 && <More rest={rest} onMore={() => setShown(shown + 10 * FIRST)} />}
    </>
  );
}

function More({ rest, onMore }: { rest: number; onMore: () => void }) {
  const text = useTaskText().submission;
  return (
    <Button size="small" onClick={onMore}>
      {text.more(rest)}
    </Button>
  );
}
