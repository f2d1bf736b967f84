// Which finished tasks are archived, and which share a segment.
import { describe, expect, it } from 'vitest';
import {
  type Candidate,
  dissolvedAt,
  isDueForArchive,
  segmentGroups,
} from '../../../src/state/tasks/archiving.ts';

const HOUR = 3600_000;
const DAY = 24 * HOUR;
const AFTER = 30 * DAY;
const NOW = 1000 * DAY;

/** Tasks that ended so many days ago and are purged in so many. */
function tasks(count: number, ago: number, purgedIn: number): Candidate[] {
  return Array.from({ length: count }, (_, at) => ({
    task_id: `${ago}-${purgedIn}-${at}`,
    ended_at: NOW - ago * DAY,
    purge_at: NOW + purgedIn * DAY,
  }));
}
const sizes = (candidates: Candidate[]) => segmentGroups(candidates, NOW, AFTER).map((group) => group.length);
const isDue = (ago: number, purgedIn: number) =>
  tasks(1, ago, purgedIn).some((one) => isDueForArchive(one, NOW, AFTER));

describe('a finished task', () => {
  it('is archived from its age on, and not in the week before its purge', () => {
    expect([isDue(29.9, 300), isDue(30, 300), isDue(300, 8), isDue(300, 7)]).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });
});

describe('segments', () => {
  it('hold at most 250 tasks that are purged within a week', () => {
    expect(sizes(tasks(600, 31, 300))).toEqual([250, 250, 100]);
    expect(sizes([...tasks(60, 31, 300), ...tasks(60, 31, 307), ...tasks(60, 31, 308)])).toEqual([120, 60]);
  });

  it('wait a week for more tasks while they have fewer than 50', () => {
    expect(sizes(tasks(49, 36.9, 300))).toEqual([]);
    expect(sizes(tasks(50, 31, 300))).toEqual([50]);
    expect(sizes([...tasks(1, 37, 300), ...tasks(2, 31, 301)])).toEqual([3]);
  });

  it('are dissolved an hour before the first purge', () => {
    expect(dissolvedAt([...tasks(2, 31, 305), ...tasks(2, 31, 300)])).toBe(NOW + 300 * DAY - HOUR);
  });
});
