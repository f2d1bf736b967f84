// What a task asks for: instructions, context, and the answer that is wanted.

import type { Task } from '@biolayer/sdk';
import { Markdown } from '../../shared/markdown/markdown.tsx';
import { Banner } from '../../shared/ui/containers.tsx';
import { useTaskText } from '../messages.ts';
import { ValueView } from '../submission/value-view.tsx';

export function TaskRequest({ task }: { task: Task }) {
  const text = useTaskText().request;
  const { instructions, context = {}, output } = task;
  const { background, constraints = [], risk_notes = [], data } = context;
  return (
    <div className="stack">
      <section className="stack stack-tight">
        <h3>{text.instructions}</h3>
        <Markdown text={instructions} />
      </section>
      {background !== undefined && (
        <section className="stack stack-tight">
          <h3>{text.background}</h3>
          <Markdown text={background} />
        </section>
      )}
      {constraints.length > 0 && (
        <Banner tone="blue" title={text.constraints}>
          <TextList items={constraints} />
        </Banner>
      )}
      {risk_notes.length > 0 && (
        <Banner tone="amber" title={text.risks}>
          <TextList items={risk_notes} />
        </Banner>
      )}
      {data !== undefined && (
        <section className="stack stack-tight">
          <h3>{text.data}</h3>
          <ValueView value={data} />
        </section>
      )}
      <details>
        <summary>{text.asked}</summary>
        <div className="stack stack-tight">
          {output.evidence_required === true && <p>{text.evidence}</p>}
          {output.schema === undefined ? (
            <p>{text.text}</p>
          ) : (
            <pre className="value-json">{JSON.stringify(output.schema, null, 2)}</pre>
          )}
        </div>
      </details>
    </div>
  );
}

function TextList({ items }: { items: readonly string[] }) {
  return (
    <ul className="plain-list">
      {items.map((item, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: texts may be equal, and the list does not change.
        <li key={index} className="plain-text">
          {item}
        </li>
      ))}
    </ul>
  );
}
