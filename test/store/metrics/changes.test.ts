// Metrics of what a process commits: offers by outcome, matching and breaches.
import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { countChanges } from '../../../src/store/metrics/changes.ts';
import type { Db } from '../../../src/store/redis/connection.ts';
import {
  accept,
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  offerIdOf,
  offerTo,
  openTestDb,
} from '../../support/db.ts';
import { rfc3339 } from '../../support/tasks.ts';

const db = await openTestDb();

/** The values of a metric by its label, without zeros. */
async function valuesOf(registry: Registry, name: string, label: string): Promise<Record<string, number>> {
  const { values } = (await registry.getSingleMetric(name)?.get()) ?? { values: [] };
  return Object.fromEntries(
    values.filter((one) => one.value > 0).map((one) => [one.labels[label], one.value]),
  );
}

it('counts each offer when it is made and when it ends, and how long the task was queued', async () => {
  const own: Db = { ...db };
  const registry = new Registry();
  countChanges(own, registry);
  const org = freshOrg(own);
  const workers = ['one', 'two', 'three', 'four'];
  for (const worker_id of workers) await addWorker(own, org, { worker_id });
  const task = await addTask(own, org);
  const first = await offerTo(own, task, ['one']);
  const declined = await applyCommands(own, first, {
    name: 'decline',
    offer_id: offerIdOf(first, 'one'),
    worker_id: 'one',
    reason: null,
  });
  const second = await offerTo(own, declined, ['two', 'three', 'four']);
  await applyCommands(own, await accept(own, second, 'two'), { name: 'cancel', reason: null });
  expect(await valuesOf(registry, 'biolayer_offers_total', 'outcome')).toEqual({
    pending: 4,
    declined: 1,
    accepted: 1,
    revoked: 2,
  });
  expect(await registry.metrics()).toMatch(/^biolayer_match_wait_seconds_count 2$/m);
});

it('counts a breach once for each clock', async () => {
  const own: Db = { ...db };
  const registry = new Registry();
  countChanges(own, registry);
  const org = freshOrg(own);
  const deadline = rfc3339(own.clock.now() + 5000);
  const task = await addTask(own, org, { sla: { target_latency_seconds: 1, deadline } });
  await expect.poll(() => own.clock.now()).toBeGreaterThan(task.created_at + 1000);
  await applyCommands(own, task, { name: 'target_latency' });
  expect(await valuesOf(registry, 'biolayer_sla_breaches_total', 'clock')).toEqual({ target_latency: 1 });
});
