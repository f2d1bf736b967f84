// The hash chain of a task's history: verification finds entries that were changed, removed or inserted.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HistoryEntry, TaskEvent } from '../../../src/state/tasks/event.ts';
import { firstBroken, hashOf, historyEntry } from '../../../src/state/tasks/history.ts';
import { NOW } from '../../support/tasks.ts';

function chain(length: number): HistoryEntry[] {
  const entries: HistoryEntry[] = [];
  for (let sequence = 1; sequence <= length; sequence += 1) {
    const event: TaskEvent = {
      event_id: `event-${sequence}`,
      type: 'task.queued',
      sequence,
      status: 'queued',
      previous_status: sequence === 1 ? null : 'offered',
      at: NOW + sequence,
      actor: 'issuer:"ü\\"',
      attempt: 1,
      data: { reason: 'declined', nested: { z: 1, a: [1, 'ü'] } },
    };
    entries.push(historyEntry(event, entries.at(-1)?.hash ?? null));
  }
  return entries;
}

/** The chain with only entry `index` altered. */
const altered = (entries: HistoryEntry[], index: number, change: Partial<HistoryEntry>) =>
  entries.map((one, at) => (at === index ? { ...one, ...change } : one));

describe('an entry of the history', () => {
  it('contains the hash of the previous entry, the first of none', () => {
    const [first, second] = chain(2);
    expect(first?.previous_hash).toBeNull();
    expect(second?.previous_hash).toBe(first?.hash);
  });

  it('has a hash that does not depend on field order', () => {
    const [entry] = chain(1);
    if (entry === undefined) throw new Error('no entry');
    const { hash, ...rest } = entry;
    const turned = Object.fromEntries(Object.entries(rest).reverse()) as typeof rest;
    expect(hashOf(turned)).toBe(hash);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
  });

  it('has the hash of its canonical JSON', () => {
    // Computed by `sha256sum` over the RFC 8785 form, so that other implementations agree.
    const entry = historyEntry(
      {
        event_id: 'e',
        type: 'task.created',
        sequence: 1,
        status: 'created',
        previous_status: null,
        at: 0,
        actor: 'system',
        attempt: 1,
        data: {},
      },
      null,
    );
    expect(entry.hash).toBe('b35aeceb1775d73b3e0e2cd1b7517c05528f8904394d14305973d96df86e13ed');
  });
});

describe('verifying a chain', () => {
  const entries = chain(5);

  it('accepts every complete chain, however short', () => {
    for (let length = 0; length <= 5; length += 1) expect(firstBroken(chain(length))).toBeNull();
  });

  it.each<[keyof HistoryEntry, Partial<HistoryEntry>]>([
    ['event_id', { event_id: 'other' }],
    ['type', { type: 'task.offered' }],
    ['status', { status: 'offered' }],
    ['previous_status', { previous_status: null }],
    ['at', { at: '2026-01-01T00:00:00.000Z' }],
    ['actor', { actor: 'api_key:other' }],
    ['attempt_of_task', { attempt_of_task: 2 }],
    ['data', { data: { reason: 'declined', nested: { z: 1, a: [1, 'u'] } } }],
    ['previous_hash', { previous_hash: null }],
    ['hash', { hash: '0'.repeat(64) }],
  ])('shows a changed %s', (_, change) => {
    expect(firstBroken(altered(entries, 2, change))).toBe(3);
  });

  it('finds a changed entry with a recomputed hash, at the entry after it', () => {
    const [entry] = entries.slice(2);
    if (entry === undefined) throw new Error('no entry');
    const { hash: _hash, ...rest } = { ...entry, actor: 'api_key:other' };
    expect(firstBroken(altered(entries, 2, { ...rest, hash: hashOf(rest) }))).toBe(4);
  });

  it('finds a missing entry anywhere but at the end', () => {
    for (let gone = 0; gone < 4; gone += 1)
      expect(firstBroken(entries.filter((_, index) => index !== gone))).toBe(gone + 2);
  });

  it('finds an entry that was inserted, duplicated or moved', () => {
    const [first, second, third] = entries;
    if (!first || !second || !third) throw new Error('no entry');
    expect(firstBroken([first, first, second, third])).toBe(1);
    expect(firstBroken([first, third, second])).toBe(3);
    const { hash: _hash, ...rest } = { ...second, event_id: 'forged', previous_hash: first.hash };
    const forged = { ...rest, hash: hashOf(rest) };
    expect(firstBroken([first, forged, second, third])).toBe(2);
  });

  it('finds any change of any text', () => {
    fc.assert(
      fc.property(
        fc.nat(4),
        fc.constantFrom<keyof HistoryEntry>('event_id', 'type', 'status', 'actor', 'at', 'hash'),
        fc.string({ minLength: 1 }),
        (index, field, text) => {
          const old = entries[index]?.[field];
          fc.pre(old !== text);
          return firstBroken(altered(entries, index, { [field]: text })) === index + 1;
        },
      ),
    );
  });
});
