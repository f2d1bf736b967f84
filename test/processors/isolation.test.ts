// One damaged record does not stop the others: what is damaged, unknown or of a newer form becomes a dead entry, waits
// or fails visibly, and everything else continues.
import { randomUUID } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Retention } from '../../src/processors/retention.ts';
import { Sweeper } from '../../src/processors/sweeper.ts';
import type { Task } from '../../src/state/tasks/task.ts';
import { countSetAside, replayDead } from '../../src/store/maintenance/dead-entries.ts';
import { connectNear, type Db, whenReady } from '../../src/store/redis/connection.ts';
import { orgKeysOf, PARTITIONS, partitionKeys } from '../../src/store/redis/keys.ts';
import { Lease } from '../../src/store/redis/lease.ts';
import { deadEntries, recordingLog, withLoggedUnreadables } from '../support/damaged-records.ts';
import {
  addOrg,
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  offerTo,
  openTestDb,
  taskOf,
} from '../support/db.ts';
import {
  momentJobId,
  openQueues,
  outboxLength,
  runProcessors,
  runRelay,
  withClockAhead,
} from '../support/processors.ts';
import { freshPrefix, testTopology } from '../support/redis.ts';

const shared = await openTestDb();
const ownStore = (): Db => ({ ...shared, prefix: freshPrefix() });
const SOON = { timeout: 15_000 };
const clocked = { sla: { target_latency_seconds: 30 } } as const;
/** The only job of a task with an SLA clock for which no worker is ready. */
const clockJob = (task: Task) => momentJobId(task.org_id, task.created_at + 30_000);
const HOUR = 3600_000;

const waiting = async (queues: ReturnType<typeof openQueues>): Promise<string[]> => {
  const states = ['waiting', 'prioritized', 'delayed'] as const;
  const lists = await Promise.all(
    Object.values(queues.shards[0].all).map((queue) => queue.getJobs([...states])),
  );
  return lists.flat().map((job) => job.id ?? '');
};

describe('a relay', () => {
  const base = { org_id: 'o', task_id: 't', version: 1, scheduled: [], cancelled: [], deliveries: [] };
  const events = { events: [], first: 0, at: 1, pool: null };
  it.each([
    ['text that is no JSON', ['d', '{"kind":"task"']],
    ['JSON that is no object', ['d', 'null']],
    ['no text', ['x', 'y']],
    ['a kind that is not known', ['d', JSON.stringify({ kind: 'party', org_id: 'o' })]],
    ['a name that every object has', ['d', JSON.stringify({ kind: 'constructor', org_id: 'o' })]],
    ['a field that is missing', ['d', JSON.stringify({ kind: 'task', org_id: 'o', task_id: 't' })]],
    [
      'a question not known',
      [
        'd',
        JSON.stringify({ kind: 'task', ...base, ...events, scheduled: [{ kind: 'why', at: 1, ref: null }] }),
      ],
    ],
    [
      'an id of which no job can be made',
      [
        'd',
        JSON.stringify({
          kind: 'task',
          ...base,
          ...events,
          task_id: 'a:b',
          scheduled: [{ kind: 'verify', at: 1 }],
        }),
      ],
    ],
    [
      'a form that is no number',
      ['d', JSON.stringify({ form: 'x', kind: 'replay', org_id: 'o', replay_id: 'r' })],
    ],
  ])('moves an entry with %s to the dead entries and relays all others', async (_name, fields) => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const { outbox } = orgKeysOf(db.prefix, org);
    const before = await addTask(db, org, clocked);
    await db.redis.xadd(outbox, '*', ...fields);
    const after = await addTask(db, org, clocked);
    const relay = await runRelay(db, queues);
    await expect.poll(() => outboxLength(db), SOON).toBe(0);
    expect(new Set(await waiting(queues))).toEqual(new Set([before, after].map(clockJob)));
    expect(await deadEntries(db)).toMatchObject([{ kind: 'outbox', reason: expect.any(String), fields }]);
    expect((await db.redis.xpending(outbox, 'relay'))[0]).toBe(0);
    // An entry that is replayed and still cannot be read becomes a dead entry again.
    const [dead] = await deadEntries(db);
    if (dead === undefined) throw new Error('nothing was set aside');
    expect(await replayDead(db, dead)).toBe(true);
    await expect
      .poll(async () => (await deadEntries(db)).map((one) => one.id !== dead.id), SOON)
      .toEqual([true]);
    expect(await outboxLength(db)).toBe(0);
    expect(relay.relayed).toBe(2);
  });

  it('relays a dead entry that is replayed and can now be read', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const key = orgKeysOf(db.prefix, org).index('endpoints');
    // The list of endpoints of one org has the wrong type.
    await db.redis.set(key, 'nonsense');
    const task = await addTask(db, org, clocked);
    const other = await addTask(db, freshOrg(db), clocked);
    await runRelay(db, queues);
    await expect.poll(() => outboxLength(db), SOON).toBe(0);
    expect(await waiting(queues)).toContain(clockJob(other));
    const [dead] = await deadEntries(db);
    if (dead === undefined) throw new Error('nothing was set aside');
    expect(dead).toMatchObject({ kind: 'outbox', reason: expect.stringContaining('WRONGTYPE') });
    await db.redis.del(key);
    await replayDead(db, dead);
    await expect
      .poll(async () => [await outboxLength(db), (await deadEntries(db)).length], SOON)
      .toEqual([0, 0]);
    expect(await waiting(queues)).toContain(clockJob(task));
  });

  it('leaves an entry of a newer form to a process that knows it, without retrying constantly', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const { outbox, newerEntries } = orgKeysOf(db.prefix, org);
    const newer = { form: 99, kind: 'replay', org_id: org, replay_id: 'r', colour: 'blue' };
    await db.redis.xadd(outbox, '*', 'd', JSON.stringify(newer));
    const task = await addTask(db, org, clocked);
    const relay = await runRelay(db, queues, { abandonedAfter: 200 });
    await expect.poll(() => outboxLength(db), SOON).toBe(0);
    expect(await waiting(queues)).toEqual([clockJob(task)]);
    expect(await countSetAside(db)).toEqual({ dead: 0, newer: 1 });
    const [[id = '', fields = []] = []] = await db.redis.xrange(newerEntries, '-', '+');
    expect(fields.slice(8)).toEqual(['d', JSON.stringify(newer)]);
    // After several reads it is still there under the same id.
    const { entries_added } = await streamInfo(db, outbox);
    await addTask(db, org, clocked);
    await expect.poll(() => relay.relayed, SOON).toBe(2);
    await expect
      .poll(async () => (await streamInfo(db, outbox)).entries_added, SOON)
      .toBe(Number(entries_added) + 1);
    expect((await db.redis.xrange(newerEntries, '-', '+')).map(([one]) => one)).toEqual([id]);
    // Once the form is known, as in a new version, the entry is relayed.
    await db.redis.del(newerEntries);
    const known = JSON.stringify({ ...newer, form: 1 });
    await db.redis.xadd(
      newerEntries,
      '*',
      ...['kind', 'outbox', 'name', 'n', 'reason', 'form 99', 'at', '1', 'd', known],
    );
    await expect.poll(() => waiting(queues), SOON).toContain('replay-r');
    expect(await countSetAside(db)).toEqual({ dead: 0, newer: 0 });
  });

  it('continues in all other partitions when the stream of one has the wrong type', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const { outbox } = orgKeysOf(db.prefix, org);
    const broken =
      PARTITIONS.map((one) => partitionKeys(db.prefix, one).outbox).find((key) => key !== outbox) ?? '';
    await db.redis.set(broken, 'nonsense');
    const task = await addTask(db, org, clocked);
    await runRelay(db, queues);
    await expect.poll(() => waiting(queues), SOON).toContain(clockJob(task));
    // Also while the relay is running.
    await db.redis.del(broken);
    await db.redis.set(broken, 'nonsense');
    const another = await addTask(db, org, clocked);
    await expect.poll(() => waiting(queues), SOON).toContain(clockJob(another));
  });

  it('keeps a broken entry pending while the dead entries are full', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const { outbox, deadEntries: dead } = orgKeysOf(db.prefix, org);
    const filling = db.redis.pipeline();
    for (let count = 0; count < 10_000; count += 1)
      filling.xadd(dead, '*', 'kind', 'record', 'name', 'n', 'reason', '', 'at', '1');
    await filling.exec();
    await db.redis.xadd(outbox, '*', 'd', 'nonsense');
    const task = await addTask(db, org, clocked);
    await runRelay(db, queues, { abandonedAfter: 200 });
    await expect.poll(() => waiting(queues), SOON).toContain(clockJob(task));
    expect(await db.redis.xlen(dead)).toBe(10_000);
    await expect.poll(() => outboxLength(db), SOON).toBe(1);
    await db.redis.xtrim(dead, 'MAXLEN', 10);
    await expect.poll(() => outboxLength(db), SOON).toBe(0);
    expect(await db.redis.xlen(dead)).toBe(11);
  });

  it('continues when none of its pending entries can be read', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const consumer = randomUUID();
    const { outbox } = orgKeysOf(db.prefix, org);
    // Pending for this relay, and deleted meanwhile.
    await addTask(db, org, clocked);
    await db.redis.xgroup('CREATE', outbox, 'relay', '0', 'MKSTREAM');
    await db.redis.xreadgroup('GROUP', 'relay', consumer, 'COUNT', 10, 'STREAMS', outbox, '>');
    await db.redis.xtrim(outbox, 'MAXLEN', 0);
    await runRelay(db, queues, { consumer, log: recordingLog(), abandonedAfter: 100 });
    const task = await addTask(db, org, clocked);
    await expect.poll(() => waiting(queues), SOON).toContain(clockJob(task));
  });
});

async function streamInfo(db: Db, key: string): Promise<{ entries_added: unknown }> {
  const fields = (await db.redis.xinfo('STREAM', key)) as unknown[];
  return { entries_added: fields[fields.indexOf('entries-added') + 1] };
}

/** Ways to damage the record of a task. */
const DAMAGES: [name: string, damage: (db: Db, key: string) => Promise<unknown>][] = [
  ['without its state', (db, key) => db.redis.hdel(key, 's')],
  ['without its version', (db, key) => db.redis.hdel(key, 'v')],
  ['with a state that is no JSON', (db, key) => db.redis.hset(key, 's', '{"status":')],
  ['with a state that lacks a field', (db, key) => db.redis.hset(key, 's', '{"status":"offered"}')],
  ['with an input that is no object', (db, key) => db.redis.hset(key, 'i', '7')],
  ['with garbage for its packed piece', (db, key) => db.redis.hset(key, 'z', Buffer.from([1, 2, 3]))],
  ['that is no hash', (db, key) => db.redis.del(key).then(() => db.redis.set(key, 'nonsense'))],
];

describe('a sweep', () => {
  it.each(DAMAGES)('continues after a task %s', async (_name, damage) => {
    const bare = ownStore();
    const log = recordingLog();
    const db = withLoggedUnreadables(bare, log);
    const queues = openQueues(db);
    const org = await addOrg(db);
    const { worker_id } = await addWorker(db, org, { capacity: 3 });
    const clock = { sla: { target_latency_seconds: 60 } } as const;
    const tasks = [];
    for (let count = 0; count < 3; count += 1)
      tasks.push(await offerTo(db, await addTask(db, org, clock), [worker_id]));
    const [broken] = tasks;
    if (broken === undefined) throw new Error('no task');
    const keys = orgKeysOf(db.prefix, org);
    await damage(db, keys.task(broken.task_id));
    const seen = withClockAhead(db, HOUR);
    const sweeper = new Sweeper({ db: seen, queues, log });
    expect(await sweeper.sweep()).toBe(1);
    expect(sweeper.failed).toBe(1);
    // It no longer blocks the others, is reported once, and is not forgotten.
    expect(Number(await db.redis.zscore(keys.due, `${org} ${broken.task_id}`))).toBeGreaterThan(
      seen.clock.now(),
    );
    expect(await sweeper.sweep()).toBe(0);
    const told = () =>
      log.lines.filter(({ fields }) => 'key' in fields && fields.key === keys.task(broken.task_id));
    expect(told()).toHaveLength(1);
    await expect
      .poll(() => deadEntries(db))
      .toMatchObject([{ kind: 'record', name: keys.task(broken.task_id) }]);
  });

  it('leaves a task of a newer form to a newer process', async () => {
    const db = withLoggedUnreadables(ownStore());
    const queues = openQueues(db);
    const org = await addOrg(db);
    const { worker_id } = await addWorker(db, org, { capacity: 2 });
    const tasks = await Promise.all([addTask(db, org), addTask(db, org)]);
    for (const task of tasks) await offerTo(db, task, [worker_id]);
    const [newer] = tasks;
    const keys = orgKeysOf(db.prefix, org);
    await db.redis.hset(keys.task(newer.task_id), 'f', 99, 's', 'a form of the future');
    const seen = withClockAhead(db, HOUR);
    expect(await new Sweeper({ db: seen, queues, log: recordingLog() }).sweep()).toBe(1);
    const again = Number(await db.redis.zscore(keys.due, `${org} ${newer.task_id}`)) - seen.clock.now();
    expect(again).toBeGreaterThan(0);
    expect(again).toBeLessThan(60_000);
    expect(await deadEntries(db)).toEqual([]);
  });

  it('reaches tasks behind more broken ones than fit in one batch', async () => {
    const db = withLoggedUnreadables(ownStore());
    const queues = openQueues(db);
    const org = await addOrg(db);
    const keys = orgKeysOf(db.prefix, org);
    const { worker_id } = await addWorker(db, org);
    const task = await offerTo(db, await addTask(db, org), [worker_id]);
    const filling = db.redis.pipeline();
    for (let count = 0; count < 600; count += 1) {
      filling.zadd(keys.due, 1, `${org} broken-${count}`);
      filling.hset(keys.task(`broken-${count}`), 'v', 1);
    }
    await filling.exec();
    const sweeper = new Sweeper({ db: withClockAhead(db, HOUR), queues, log: recordingLog() });
    expect((await sweeper.sweep()) + (await sweeper.sweep())).toBe(1);
    expect((await waiting(queues)).join()).toContain('moment-');
    expect(Number(await db.redis.zscore(keys.due, `${org} ${task.task_id}`))).toBeGreaterThan(1);
  });

  it('moves malformed members of each index to the dead entries, where they can be replayed', async () => {
    const db = withLoggedUnreadables(ownStore());
    const queues = openQueues(db);
    const org = await addOrg(db);
    const keys = orgKeysOf(db.prefix, org);
    const indexes = [
      keys.due,
      keys.pendingDeliveries,
      keys.orphanedReservations,
      keys.replays,
      keys.orderReleased,
      keys.purges,
      keys.retain,
    ];
    for (const key of indexes) await db.redis.zadd(key, 1, 'nonsense');
    await db.redis.sadd(keys.backlogged, 'nonsense');
    const { worker_id } = await addWorker(db, org);
    await offerTo(db, await addTask(db, org), [worker_id]);
    expect(await new Sweeper({ db: withClockAhead(db, HOUR), queues, log: recordingLog() }).sweep()).toBe(1);
    await new Retention({ db, log: recordingLog() }).run();
    for (const key of indexes) expect(await db.redis.zscore(key, 'nonsense')).toBeNull();
    const dead = await deadEntries(db);
    expect(dead.map((one) => [one.kind, one.name])).toEqual(indexes.map(() => ['member', 'nonsense']));
    for (const one of dead) await replayDead(db, one);
    for (const key of indexes) expect(await db.redis.zscore(key, 'nonsense')).toBe('1');
  });

  it('continues when an index or the set of orgs of one partition has the wrong type', async () => {
    const db = withLoggedUnreadables(ownStore());
    const queues = openQueues(db);
    const org = await addOrg(db);
    const mine = orgKeysOf(db.prefix, org);
    for (const partition of PARTITIONS) {
      const keys = partitionKeys(db.prefix, partition);
      if (partition === mine.partition) continue;
      for (const key of [
        keys.due,
        keys.pendingDeliveries,
        keys.orphanedReservations,
        keys.replays,
        keys.orderReleased,
        keys.backlogged,
        keys.orgs,
        keys.purges,
        keys.retain,
      ])
        await db.redis.set(key, 'nonsense');
    }
    await addTask(db, org);
    const { worker_id } = await addWorker(db, org);
    await offerTo(db, await addTask(db, org), [worker_id]);
    await addWorker(db, org);
    const sweeper = new Sweeper({ db: withClockAhead(db, HOUR), queues, log: recordingLog() });
    expect(await sweeper.sweep()).toBe(1);
    expect((await waiting(queues)).some((id) => id.startsWith('match-'))).toBe(true);
    await new Retention({ db, log: recordingLog() }).run();
  });

  it('requests the next task when the first of a matching queue, or another org, cannot be read', async () => {
    const db = withLoggedUnreadables(ownStore());
    const queues = openQueues(db);
    const [org, other] = [await addOrg(db), await addOrg(db)];
    await db.redis.set(orgKeysOf(db.prefix, other).matchingQueues, 'nonsense');
    const [first, second] = [await addTask(db, org), await addTask(db, org)];
    await db.redis.hdel(orgKeysOf(db.prefix, org).task(first.task_id), 's');
    await db.redis.zadd(orgKeysOf(db.prefix, org).matchingQueues, 0, 'any\0lane-of-nothing\0{"skills":');
    await addWorker(db, org);
    await new Sweeper({ db: withClockAhead(db, HOUR), queues, log: recordingLog() }).sweep();
    const requested = await db.redis.zrange(orgKeysOf(db.prefix, org).matchRequests, 0, '-1');
    expect(requested).toEqual([`task ${second.task_id}`]);
  });
});

describe('retention', () => {
  it('purges all other tasks when one cannot be read, and reports that one', async () => {
    const db = withLoggedUnreadables(ownStore());
    const org = await addOrg(db);
    const keys = orgKeysOf(db.prefix, org);
    const tasks = [];
    for (let count = 0; count < 3; count += 1)
      tasks.push(
        await applyCommands(
          db,
          await addTask(db, org, { more: { audit: { log_required: true, retain_days: 1 } } }),
          {
            name: 'cancel',
            reason: null,
          },
        ),
      );
    const [broken] = tasks;
    await db.redis.hset(keys.task(broken?.task_id ?? ''), 'z', 'garbage');
    const seen = withClockAhead(db, 48 * HOUR);
    expect(await new Retention({ db: seen, log: recordingLog() }).run()).toMatchObject({ tasks: 2 });
    expect(await db.redis.zcard(keys.purges)).toBe(1);
    await expect.poll(() => deadEntries(db)).toMatchObject([{ name: keys.task(broken?.task_id ?? '') }]);
  });

  it('trims the feeds of all other orgs when one has the wrong type', async () => {
    const db = withLoggedUnreadables(ownStore());
    const orgs = await Promise.all([addOrg(db), addOrg(db), addOrg(db)]);
    const [broken, ...others] = orgs.map((org) => orgKeysOf(db.prefix, org).feed);
    await db.redis.set(broken ?? '', 'nonsense');
    for (const feed of others)
      await db.redis.xadd(feed, '1-1', 'task', 'x', 'sequence', '1', 'events', 'created');
    await new Retention({ db, log: recordingLog() }).trimFeeds();
    for (const feed of others) expect(await db.redis.xlen(feed)).toBe(0);
  });

  it('stops when its lock was lost, and does not release the lock of another process', async () => {
    const db = withLoggedUnreadables(ownStore());
    const org = await addOrg(db);
    for (let count = 0; count < 25; count += 1)
      await applyCommands(
        db,
        await addTask(db, org, { more: { audit: { log_required: true, retain_days: 1 } } }),
        {
          name: 'cancel',
          reason: null,
        },
      );
    const lock = `${db.prefix}:retention`;
    const retention = new Retention({ db: withClockAhead(db, 48 * HOUR), log: recordingLog(), every: 20 });
    onTestFinished(() => retention.close());
    // While it holds the lock, the lock expires and another process takes it.
    const { redis } = db;
    const taken = connectNear(lock, testTopology(), 'patient', () => undefined);
    await whenReady(taken);
    onTestFinished(() => taken.disconnect());
    const watch = async () => {
      while ((await taken.set(lock, 'another', 'XX')) === null);
    };
    retention.start();
    await watch();
    await retention.close();
    expect(await redis.get(lock)).toBe('another');
    // At most one batch of twenty was in progress.
    expect(await redis.zcard(orgKeysOf(db.prefix, org).purges)).toBeGreaterThanOrEqual(5);
  });
});

describe('a lease', () => {
  it('is renewed and released only by its holder', async () => {
    const { redis, prefix } = ownStore();
    const key = `${prefix}:lease`;
    const first = await Lease.take(redis, key, 50);
    expect(await Lease.take(redis, key, 50)).toBeNull();
    await expect.poll(() => redis.exists(key)).toBe(0);
    const second = await Lease.take(redis, key, 60_000);
    expect(await first?.renew(1)).toBe(false);
    await first?.release();
    expect(await redis.exists(key)).toBe(1);
    expect(await second?.renew(60_000)).toBe(true);
    await second?.release();
    expect(await redis.exists(key)).toBe(0);
  });
});

describe('a job', () => {
  const LIFE = { sweepEvery: HOUR };
  it.each([
    ['lifecycle', 'party', { form: 1 }],
    ['lifecycle', 'match', {}],
    [
      'lifecycle',
      'match',
      { form: 1, org_id: 'o', task_id: 't', version: 1, check: { kind: 'why', at: 1, ref: null } },
    ],
    ['lifecycle', 'worker', { form: 1, org_id: 'o', worker_id: 'w', version: 1, at: 1 }],
    [
      'sla',
      'verify',
      { form: 1, org_id: 'o', task_id: 't', version: 1, check: { kind: 'verify', at: 1, ref: null } },
    ],
    ['webhooks', 'party', { form: 1, org_id: 'o', task_id: 't', sequence: 1 }],
    ['retries', 'deliver', { form: 1, org_id: 'o', task_id: 't' }],
    ['bulk', 'bulk_action', { form: 1, org_id: 'o' }],
    ['notifications', 'notify', { form: 1, org_id: 'o', worker_id: 'w' }],
  ] as const)('of %s that is malformed (%s) fails at once and stays visible', async (queue, name, data) => {
    const db = ownStore();
    const { queues } = await runProcessors(db, LIFE);
    const job = await queues.shards[0].all[queue].add(name, data);
    await expect.poll(() => job.getState(), SOON).toBe('failed');
    expect(await queues.shards[0].all[queue].getJob(job.id ?? '')).toMatchObject({
      attemptsMade: 1,
      failedReason: expect.stringContaining('cannot be run'),
    });
  });

  it.each(['lifecycle', 'sla', 'webhooks', 'retries', 'bulk', 'notifications'] as const)(
    'of %s whose data are not JSON fails at once, and all others run',
    async (name) => {
      const db = ownStore();
      const queues = openQueues(db);
      const job = await queues.shards[0].all[name].add('match', { form: 1 });
      const key = `{${db.prefix}-queues}:${name}:${job.id}`;
      await db.redis.hset(key, 'data', '{"form":1,');
      const other = await queues.shards[0].all[name].add('party', { form: 1 });
      await runProcessors(db, LIFE);
      for (const one of [job, other])
        await expect.poll(() => queues.shards[0].all[name].getJobState(one.id ?? ''), SOON).toBe('failed');
      // The remaining data can be inspected.
      expect((await queues.shards[0].all[name].getFailed()).map((one) => one.data)).toContainEqual({
        unreadable: '{"form":1,',
      });
    },
  );

  it('of a newer form is left to a newer process: not failed, not run, not retried constantly', async () => {
    const db = ownStore();
    const { queues } = await runProcessors(db, LIFE);
    for (const name of ['lifecycle', 'sla', 'webhooks', 'retries', 'bulk', 'notifications'] as const) {
      const job = await queues.shards[0].all[name].add('match', { form: 99, whatever: true });
      await expect.poll(() => job.getState(), SOON).toBe('delayed');
      const left = await queues.shards[0].all[name].getJob(job.id ?? '');
      expect(left?.data).toEqual({ form: 99, whatever: true });
      expect(left?.attemptsMade).toBe(0);
      expect(left?.delay).toBeGreaterThanOrEqual(5000);
    }
  });

  it('of a newer form comes back: it waits again, and runs where it can be read', async () => {
    const db = ownStore();
    const { queues } = await runProcessors(db, LIFE);
    const org = await addOrg(db);
    const queue = queues.shards[0].all.lifecycle;
    const id = 'pool-of-the-future';
    await queue.add('pool', { form: 99, org_id: org, pool_id: 'p' }, { jobId: id });
    const seen = async () => {
      const job = await queue.getJob(id);
      return [job?.attemptsStarted, job?.attemptsMade, await job?.getState()];
    };
    for (const attempt of [1, 2]) {
      await expect.poll(seen, SOON).toEqual([attempt, 0, 'delayed']);
      if (attempt === 1) await (await queue.getJob(id))?.promote();
    }
    // Now a process takes it that knows this form.
    const job = await queue.getJob(id);
    await job?.updateData({ form: 1, org_id: org, pool_id: 'p' });
    await job?.promote();
    await expect.poll(() => queue.getJobState(id), SOON).toBe('completed');
  });

  it('for a damaged record fails at once, the record is reported, and others run', async () => {
    const db = ownStore();
    const { queues, db: own } = await runProcessors(db, LIFE);
    const org = await addOrg(db);
    const keys = orgKeysOf(db.prefix, org);
    const [broken, fine] = [await addTask(db, org), await addTask(db, org)];
    await db.redis.hset(keys.task(broken.task_id), 's', '{}');
    const check = { kind: 'verify', at: 1, ref: null };
    const about = { form: 1, org_id: org, task_id: broken.task_id, version: 1, check };
    await queues.shards[0].all.lifecycle.add('verify', about, { jobId: 'verify-broken' });
    await expect.poll(() => queues.shards[0].all.lifecycle.getJobState('verify-broken'), SOON).toBe('failed');
    await addWorker(db, org);
    await expect.poll(() => taskOf(db, org, fine.task_id).then((task) => task.status), SOON).toBe('offered');
    await expect
      .poll(() => deadEntries(own), SOON)
      .toMatchObject([{ kind: 'record', name: keys.task(broken.task_id) }]);
  });
});

describe('a failed job', () => {
  it('is retried once after a while, so the count of failed jobs falls again', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = await addOrg(db);
    const { processors, task } = {
      processors: await runProcessors(db, { sweepEvery: HOUR }),
      task: await addTask(db, org),
    };
    const key = orgKeysOf(db.prefix, org).task(task.task_id);
    const kept = (await db.redis.hget(key, 's')) ?? '';
    await db.redis.hset(key, 's', '{}');
    const id = `verify-${task.task_id}-v9`;
    const check = { kind: 'verify', at: 1, ref: null };
    await queues.shards[0].all.lifecycle.add(
      'verify',
      { form: 1, org_id: org, task_id: task.task_id, version: 9, check },
      { jobId: id },
    );
    await expect.poll(() => queues.shards[0].all.lifecycle.getJobState(id), SOON).toBe('failed');
    await db.redis.hset(key, 's', kept);
    await processors.sweeper.sweep();
    expect(await queues.shards[0].all.lifecycle.getJobState(id)).toBe('failed');
    // Ten minutes later.
    await db.redis.zadd(`{${db.prefix}-queues}:lifecycle:failed`, 'XX', Date.now() - 600_001, id);
    await processors.sweeper.sweep();
    await expect.poll(() => queues.shards[0].all.lifecycle.getJobState(id), SOON).toBe('completed');
  });
});
