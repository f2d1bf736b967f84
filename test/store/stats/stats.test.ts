// The numbers equal a recount of all histories, whoever adds the samples to the tallies and when.
import { describe, expect, it } from 'vitest';
import { Retention } from '../../../src/processors/retention.ts';
import { OTHER, packTally } from '../../../src/state/stats/tally.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import { changeTask } from '../../../src/store/commands/change.ts';
import { orgKeysOf, partitionOf } from '../../../src/store/redis/keys.ts';
import { aggregateSamples, DAY, HOUR, logLength, MAX_GROUPS } from '../../../src/store/stats/sample-log.ts';
import {
  loadStats,
  MAX_RESPONSE_GROUPS,
  type StatsRange,
  type StatsView,
} from '../../../src/store/stats/stats.ts';
import { loadTask } from '../../../src/store/tasks/tasks.ts';
import {
  accept,
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  offerTo,
  openTestDb,
  workThrough,
} from '../../support/db.ts';
import { ERRORS_ONLY, withClockAhead } from '../../support/processors.ts';

const db = await openTestDb();
const cancel = (task: Task) => applyCommands(db, task, { name: 'cancel', reason: null });

function today(): { interval: 'day'; from: number; to: number } {
  const from = Math.floor(db.clock.now() / DAY) * DAY;
  return { interval: 'day', from, to: from + 2 * DAY };
}

/** The numbers of a range, by group, in their stored form. */
async function stored(orgId: string, range: StatsRange, dimension: StatsView['dimension']) {
  const buckets = await loadStats(db, orgId, range, { dimension, only: null, isSum: false });
  return Array.from(buckets, ({ start, groups }) => ({
    start,
    groups: new Map([...groups].map(([value, tally]) => [value, JSON.parse(packTally(tally))])),
  }));
}

/** The sum of one counter over a range, by value of the dimension. */
async function countsOf(orgId: string, name: string, dimension: 'urgency' | 'domain' | 'pool' | 'worker') {
  const buckets = await loadStats(db, orgId, today(), { dimension, only: null, isSum: false });
  const sums: Record<string, number> = {};
  for (const { groups } of buckets)
    for (const [value, { counts }] of groups) {
      const count = counts.get(name) ?? 0;
      if (count > 0) sums[value] = (sums[value] ?? 0) + count;
    }
  return sums;
}

describe('numbers', () => {
  it('count a created task at once, without a sample', async () => {
    const orgId = freshOrg(db);
    await addTask(db, orgId);
    await addTask(db, orgId, { more: { domain: 'legal' } });
    expect(await countsOf(orgId, 'created', 'domain')).toEqual({ security: 1, legal: 1 });
    expect(await countsOf(orgId, 'created', 'urgency')).toEqual({ normal: 2 });
    expect(await countsOf(orgId, 'created', 'pool')).toEqual({ '': 2 });
    expect(await logLength(db, partitionOf(orgId))).toBe(0);
  });

  it('are the same before and after the samples are added to the tallies', async () => {
    const orgId = freshOrg(db);
    const { worker_id } = await addWorker(db, orgId);
    await cancel(await addTask(db, orgId));
    const submitted = await workThrough(
      db,
      await offerTo(db, await addTask(db, orgId), [worker_id]),
      worker_id,
    );
    await applyCommands(db, submitted, { name: 'verify' }, { name: 'complete' });
    const before = await stored(orgId, today(), 'worker');
    expect(await aggregateSamples(db, partitionOf(orgId))).toBeGreaterThan(0);
    expect(await logLength(db, partitionOf(orgId))).toBe(0);
    expect(await stored(orgId, today(), 'worker')).toEqual(before);
    expect(await countsOf(orgId, 'completed', 'worker')).toEqual({ [worker_id]: 1 });
    expect(await countsOf(orgId, 'cancelled', 'worker')).toEqual({ '': 1 });
  });

  it('are the same before and after the tasks are purged, and count what was created since', async () => {
    const orgId = freshOrg(db);
    const { worker_id } = await addWorker(db, orgId);
    const short = { audit: { retain_days: 1, log_required: true } };
    const [done, ended] = [
      await addTask(db, orgId, { more: { ...short, domain: 'legal' } }),
      await addTask(db, orgId, { more: short, sla: { urgency: 'high' } }),
    ];
    const submitted = await workThrough(db, await offerTo(db, done, [worker_id]), worker_id);
    await applyCommands(db, submitted, { name: 'verify' }, { name: 'complete' });
    await cancel(ended);
    await addTask(db, orgId);
    const range = today();
    const all = async () => {
      const answers = [];
      for (const interval of ['day', 'hour'] as const)
        for (const dimension of ['urgency', 'domain', 'task_type', 'pool', 'worker'] as const)
          answers.push(await stored(orgId, { ...range, interval }, dimension));
      return answers;
    };
    const before = await all();
    const later = withClockAhead(db, 2 * DAY);
    const purged = await new Retention({ db: later, log: ERRORS_ONLY }).run();
    expect(purged.tasks).toBeGreaterThanOrEqual(2);
    for (const { task_id } of [done, ended]) expect(await loadTask(db, orgId, task_id)).toBeNull();
    expect(await all()).toEqual(before);
    await aggregateSamples(db, partitionOf(orgId));
    expect(await all()).toEqual(before);
    expect(await countsOf(orgId, 'created', 'domain')).toEqual({ legal: 1, security: 2 });
    await addTask(db, orgId);
    expect(await countsOf(orgId, 'created', 'domain')).toEqual({ legal: 1, security: 3 });
  });

  it('are the same by hour as by day', async () => {
    const orgId = freshOrg(db);
    await cancel(await addTask(db, orgId));
    await aggregateSamples(db, partitionOf(orgId));
    await cancel(await addTask(db, orgId));
    const { from, to } = today();
    const hours = await stored(orgId, { interval: 'hour', from, to }, 'urgency');
    const sum = hours.reduce((all, { groups }) => all + (groups.get('normal')?.n?.cancelled ?? 0), 0);
    expect(hours).toHaveLength((to - from) / HOUR);
    expect(sum).toBe(2);
  });

  it('count every sample once when several processes add them at the same time', async () => {
    const orgId = freshOrg(db);
    const tasks = await Promise.all(Array.from({ length: 60 }, () => addTask(db, orgId)));
    const aggregating = async () => {
      for (let turn = 0; turn < 20; turn += 1) await aggregateSamples(db, partitionOf(orgId));
    };
    const cancelling = tasks.map((task) =>
      changeTask(db, orgId, task.task_id, [{ name: 'cancel', reason: null }], { actor: 'system' }),
    );
    await Promise.all([...cancelling, aggregating(), aggregating(), aggregating()]);
    expect(await countsOf(orgId, 'cancelled', 'urgency')).toEqual({ normal: 60 });
    while ((await aggregateSamples(db, partitionOf(orgId))) > 0);
    expect(await countsOf(orgId, 'cancelled', 'urgency')).toEqual({ normal: 60 });
  });

  it('count a refused change and the loser of a race nowhere', async () => {
    const orgId = freshOrg(db);
    const workers = await Promise.all([addWorker(db, orgId), addWorker(db, orgId), addWorker(db, orgId)]);
    const ids = workers.map((one) => one.worker_id);
    const offered = await offerTo(db, await addTask(db, orgId), ids);
    const accepts = await Promise.allSettled(ids.map((id) => accept(db, offered, id)));
    expect(accepts.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    const buckets = await stored(orgId, today(), 'urgency');
    const waiting = buckets.flatMap(({ groups }) => [...groups.values()].map((one) => one.waiting));
    expect(waiting).toEqual([[expect.any(Number), 1]]);
  });

  it('sum up the values of a day, and the groups of an answer, beyond the limits', async () => {
    const orgId = freshOrg(db);
    const count = MAX_GROUPS + 5;
    const domains = Array.from({ length: count }, (_, index) => `d${index}`);
    // Two of one domain, which is therefore kept apart.
    const made = await Promise.all(
      [...domains, 'd42'].map((domain) => addTask(db, orgId, { more: { domain } })),
    );
    await Promise.all(made.map(cancel));
    // First all samples are in the log, then all in the tallies.
    const byLog = await countsOf(orgId, 'cancelled', 'domain');
    await aggregateSamples(db, partitionOf(orgId));
    const byTally = await countsOf(orgId, 'cancelled', 'domain');
    for (const counts of [byLog, byTally]) {
      expect(Object.keys(counts)).toHaveLength(MAX_RESPONSE_GROUPS + 1);
      expect(counts[OTHER]).toBe(count - MAX_RESPONSE_GROUPS);
      expect(counts.d42).toBe(2);
      expect(Object.values(counts).reduce((sum, one) => sum + one, 0)).toBe(count + 1);
    }
    const key = orgKeysOf(db.prefix, orgId).statsDay(`domain:${Math.floor(db.clock.now() / DAY)}`);
    expect(await db.redis.hlen(key)).toBe(MAX_GROUPS + 1);
  });

  it('leave out a damaged sample and a damaged tally, and go on', async () => {
    const orgId = freshOrg(db);
    const keys = orgKeysOf(db.prefix, orgId);
    await db.redis.rpush(keys.statsLog, 'nonsense');
    await cancel(await addTask(db, orgId));
    await aggregateSamples(db, keys.partition);
    expect(await countsOf(orgId, 'cancelled', 'urgency')).toEqual({ normal: 1 });
    await db.redis.hset(keys.statsDay(`urgency:${Math.floor(db.clock.now() / DAY)}`), 'normal', 'nonsense');
    await cancel(await addTask(db, orgId));
    await aggregateSamples(db, keys.partition);
    expect(await countsOf(orgId, 'cancelled', 'urgency')).toEqual({ normal: 1 });
  });
});
