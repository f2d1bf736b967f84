// Ids sort by creation, also within a millisecond and when the clock goes back.
import { describe, expect, it, vi } from 'vitest';
import { NOW } from '../../support/tasks.ts';

// The newest id is module state, so this file imports its own instance.
vi.resetModules();
const { idFloor, newId } = await import('../../../src/store/redis/ids.ts');

const sorted = (ids: string[]) => ids.every((id, index) => index === 0 || (ids[index - 1] ?? '') < id);

describe('an id', () => {
  it('is a UUIDv7 with its creation time', () => {
    const id = newId(NOW + 1);
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(Number.parseInt(id.replace('-', '').slice(0, 12), 16)).toBe(NOW + 1);
  });

  it('sorts after all earlier ids: 20 000 in one millisecond', () => {
    const ids = Array.from({ length: 20_000 }, () => newId(NOW + 2));
    expect(sorted(ids)).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('sorts by creation when the clock goes back and forth', () => {
    const steps = [3, 5, 4, 1, 5, 5, 6, 2, 7];
    expect(sorted(steps.map((step) => newId(NOW + step)))).toBe(true);
  });

  it('has the current time again after a clock that was far ahead is corrected', () => {
    newId(NOW + 3600_000);
    const ids = [newId(NOW + 10), newId(NOW + 10), newId(NOW + 11)];
    expect(sorted([idFloor(NOW + 10), ...ids, idFloor(NOW + 12)])).toBe(true);
  });
});

it('returns a bound below all ids of a millisecond and above all earlier ones', () => {
  const before = newId(NOW + 999);
  const id = newId(NOW + 1000);
  expect(idFloor(NOW + 1000) <= id).toBe(true);
  expect(before < idFloor(NOW + 1000)).toBe(true);
  expect(idFloor(NOW + 1001) > id).toBe(true);
  expect(idFloor(-5)).toBe('00000000-0000');
});
