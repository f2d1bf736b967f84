// The transition table: it is consistent, reaches every state, and the diagram in the docs shows the same transitions.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  AT_DEADLINE,
  COMMANDS,
  DEFAULT_EVENT_TYPES,
  IN_PLACE,
  isFinal,
  isSubmitted,
  RETURN_TO_QUEUE,
  STATUSES,
  type Status,
  TRANSITIONS,
  target,
} from '../../../src/state/tasks/lifecycle.ts';

/** Every transition: the rows of the table, and the ends to which a command may lead instead. */
function edges(): Set<string> {
  return new Set(
    TRANSITIONS.flatMap(({ command, from, to }) =>
      from.flatMap((one) => [
        `${one} --> ${to}`,
        ...(RETURN_TO_QUEUE.includes(command) ? [`${one} --> failed`] : []),
        ...(AT_DEADLINE.includes(command) ? [`${one} --> completed`] : []),
      ]),
    ),
  );
}

describe('the transition table', () => {
  it('has exactly one row for each command', () => {
    const moving = TRANSITIONS.map((row) => row.command);
    const others = IN_PLACE.map((row) => row.command).filter((command) => !moving.includes(command));
    expect([...moving, ...others].sort()).toEqual([...COMMANDS].sort());
    expect(new Set(IN_PLACE.map((row) => row.command)).size).toBe(IN_PLACE.length);
    for (const { from } of [...TRANSITIONS, ...IN_PLACE]) expect(new Set(from).size).toBe(from.length);
  });

  it('allows exactly what its rows list', () => {
    for (const command of COMMANDS) {
      const row = TRANSITIONS.find((one) => one.command === command);
      for (const status of STATUSES)
        expect(target(command, status)).toBe(row?.from.includes(status) ? row.to : null);
    }
  });

  it('reaches every state from `created`', () => {
    const reached = new Set<Status>(['created']);
    for (const status of reached)
      for (const row of TRANSITIONS) if (row.from.includes(status)) reached.add(row.to);
    expect([...reached].sort()).toEqual([...STATUSES].sort());
  });

  it('leads from every state to a final state', () => {
    const ends = new Set<Status>(STATUSES.filter(isFinal));
    for (const _ of STATUSES)
      for (const row of TRANSITIONS) if (ends.has(row.to)) for (const one of row.from) ends.add(one);
    expect(ends.size).toBe(STATUSES.length);
  });

  it('allows no transition from a final state', () => {
    expect(STATUSES.filter(isFinal)).toEqual(['completed', 'failed', 'cancelled']);
    for (const row of TRANSITIONS) expect(row.from.filter(isFinal)).toEqual([]);
  });

  it('allows in a final state only the dispute of a rejection and the decision on it', () => {
    const rows = IN_PLACE.filter((row) => row.from.some(isFinal));
    expect(rows.map(({ command, from }) => [command, from])).toEqual([
      ['dispute', ['failed']],
      ['resolve_dispute', ['failed']],
    ]);
  });

  it('has exactly the transitions of the contract', () => {
    const contract: readonly [from: string, to: string][] = [
      ['created', 'queued'],
      ['queued', 'matched'],
      ['matched', 'offered'],
      ['matched offered accepted started submitted', 'queued'],
      ['offered', 'accepted'],
      ['accepted', 'started'],
      ['started', 'submitted'],
      ['submitted', 'verified'],
      ['submitted', 'started'],
      ['verified', 'completed'],
      ['created queued matched offered accepted started', 'cancelled'],
      ['created queued matched offered accepted started submitted', 'failed'],
      // With `sla.on_deadline`, in place of a failure with `deadline_exceeded`.
      ['created queued matched offered accepted started submitted', 'completed'],
    ];
    const moves = contract.flatMap(([from, to]) => from.split(' ').map((one) => `${one} --> ${to}`));
    expect([...edges()].sort()).toEqual(moves.sort());
  });

  it('has an event for every state and one for the breach of an SLA clock', () => {
    expect([...DEFAULT_EVENT_TYPES].sort()).toEqual(
      [...STATUSES.map((one) => `task.${one}`), 'task.sla_breached'].sort(),
    );
  });

  it('counts an SLA clock as met from the submission on', () => {
    expect(STATUSES.filter(isSubmitted)).toEqual(['submitted', 'verified', 'completed']);
  });
});

const DOC = new URL('../../../docs/lifecycle.md', import.meta.url);

describe('the diagram in docs/lifecycle.md', () => {
  it('draws exactly the transitions of the table', () => {
    const [, block] = /```mermaid\s+stateDiagram-v2\n(.*?)```/s.exec(readFileSync(DOC, 'utf8')) ?? [];
    const drawn = [...(block ?? '').matchAll(/^\s*(\S+)\s*-->\s*([^\s:]+)/gm)]
      .map(([, from, to]) => `${from} --> ${to}`)
      .filter((one) => !one.includes('[*]'));
    expect([...new Set(drawn)].sort()).toEqual([...edges()].sort());
  });
});
