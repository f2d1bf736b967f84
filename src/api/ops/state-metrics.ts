// Metrics of the state in Redis, which is the same for all processes: what exists, what waits, and for how long. They are read
// at each scrape, in a bounded number of commands.

import type { Job, Queue } from 'bullmq';
import { Counter, Gauge, type Registry } from 'prom-client';
import { QUEUES } from '../../queues/catalogue.ts';
import type { Queues } from '../../queues/queues.ts';
import { modeOf, orgOf } from '../../state/access/tenant.ts';
import { coverageOf } from '../../state/operation/coverage.ts';
import { onlineReplicas } from '../../state/operation/diagnosis.ts';
import { isFinal } from '../../state/tasks/lifecycle.ts';
import { countSetAside } from '../../store/maintenance/dead-entries.ts';
import { PROCESS_KINDS, processesAlive } from '../../store/metrics/heartbeat.ts';
import { TaskCensus } from '../../store/metrics/task-census.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { ReplicaStatus } from '../../store/redis/durability.ts';
import { readInfo } from '../../store/redis/info.ts';
import { type PartitionKeys, partitionKeys } from '../../store/redis/keys.ts';
import type { MemoryWatch } from '../../store/redis/memory-watch.ts';
import { type CountCommand, partitionsWith, sumOfPartitions } from '../../store/redis/partition-counts.ts';
import { serversOf } from '../../store/redis/servers.ts';
import { PARKED } from '../../store/webhooks/delivery-target.ts';

/** What the metrics are read from. */
export interface Shared {
  db: Db;
  queues: Queues;
  memory: MemoryWatch;
  /** Null when replicas need not confirm writes. */
  replicas: ReplicaStatus | null;
  /** So many orgs with most open tasks are shown by name. */
  topOrgs: number;
  /** Of the software. */
  version: string;
}

/** Adds the metrics of what all processes share. */
export function addStateMetrics(
  registry: Registry,
  { db, queues, memory, replicas, topOrgs, version }: Shared,
): void {
  /** A gauge without labels; null leaves it as it is. */
  const gauge = (name: string, help: string, read: () => number | null | Promise<number | null>) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const value = await read();
        if (value !== null) this.set(value);
      },
    });
  /** The sum over all partitions. */
  const sum = (name: string, help: string, commandOf: (keys: PartitionKeys) => CountCommand) =>
    gauge(name, help, () => sumOfPartitions(db, commandOf));

  addTaskMetrics(registry, db, topOrgs);
  addReplicaMetrics(registry, db, replicas);
  addJobMetrics(registry, db, queues);
  new Gauge({
    name: 'biolayer_processes',
    help: 'Processes that are alive: those with a heartbeat in the last 30 s',
    labelNames: ['kind', 'version'],
    registers: [registry],
    async collect() {
      const alive = await processesAlive(db);
      this.reset();
      for (const kind of PROCESS_KINDS) this.set({ kind, version }, 0);
      for (const { kind, version } of alive) this.inc({ kind, version });
    },
  });
  new Gauge({
    name: 'biolayer_queue_workers',
    help: 'Worker processes alive that take a queue of a shard',
    labelNames: ['queue', 'shard'],
    registers: [registry],
    async collect() {
      for (const { queue, shard, workers } of coverageOf(
        await processesAlive(db),
        QUEUES,
        queues.shards.length,
      ))
        this.set({ queue, shard }, workers);
    },
  });
  gauge('biolayer_clock_held', "1 while Redis' clock has jumped and deadlines and expiries are paused", () =>
    db.clock.isFrozen ? 1 : 0,
  );
  gauge('biolayer_redis_memory_bytes', 'Memory that Redis uses', () => memory.last?.used ?? null);
  gauge('biolayer_redis_memory_limit_bytes', 'maxmemory of Redis; 0 without a limit', () =>
    memory.last === null ? null : (memory.last.limit ?? 0),
  );
  gauge(
    'biolayer_creates_refused',
    "1 while creates are refused because Redis' memory is above its high-water mark",
    () => (memory.isHigh ? 1 : 0),
  );
  sum('biolayer_outbox_entries', 'Outbox entries that the relay has not turned into jobs yet', (keys) => [
    'XLEN',
    keys.outbox,
  ]);
  gauge(
    'biolayer_outbox_oldest_age_seconds',
    'Age of the oldest outbox entry; 0 when there is none',
    async () => {
      const partitions = await partitionsWith(db, (keys) => [['XLEN', keys.outbox]]);
      const ages = partitions.map(async (one) =>
        ageOfFirst(await db.redis.xrange(partitionKeys(db.prefix, one).outbox, '-', '+', 'COUNT', 1), db),
      );
      return Math.max(0, ...(await Promise.all(ages)));
    },
  );
  sum('biolayer_deliveries_pending', 'Pending webhook deliveries', (keys) => [
    'ZCARD',
    keys.pendingDeliveries,
  ]);
  sum('biolayer_deliveries_parked', 'Pending deliveries in the backlog of their receiver', (keys) => [
    'ZCOUNT',
    keys.pendingDeliveries,
    PARKED,
    '+inf',
  ]);
  sum('biolayer_receivers_backlogged', 'Receivers that have a backlog', (keys) => ['SCARD', keys.backlogged]);
  sum('biolayer_notices_pending', 'Notices to workers that are not settled', (keys) => [
    'ZCARD',
    keys.pendingNotices,
  ]);
  sum('biolayer_dead_letters', 'Webhook deliveries that were given up', (keys) => ['ZCARD', keys.dead]);
  gauge(
    'biolayer_dead_entries',
    'Dead entries: outbox entries, index members and records that could not be processed',
    async () => (await countSetAside(db)).dead,
  );
  gauge(
    'biolayer_newer_entries',
    'Outbox entries of a newer format version that wait for a newer process',
    async () => (await countSetAside(db)).newer,
  );
  sum('biolayer_replays_running', 'Running replays to webhook endpoints', (keys) => ['ZCARD', keys.replays]);
  sum('biolayer_bulk_actions_running', 'Bulk actions that are pending or running', (keys) => [
    'ZCARD',
    keys.bulkActions,
  ]);
}

function addTaskMetrics(registry: Registry, db: Db, topOrgs: number): void {
  const census = new TaskCensus(db, topOrgs);
  new Gauge({
    name: 'biolayer_tasks',
    help: 'Tasks of all orgs by state; mode: live or test (sandboxes)',
    labelNames: ['state', 'mode'],
    registers: [registry],
    async collect() {
      const { counts } = await census.take();
      for (const { status, mode, count } of counts) this.set({ state: status, mode }, count);
    },
  });
  new Gauge({
    name: 'biolayer_tasks_oldest_age_seconds',
    help: 'Time since the creation of the oldest task in an open state; 0 when there is none',
    labelNames: ['state', 'mode'],
    registers: [registry],
    async collect() {
      const { counts } = await census.take();
      for (const { status, mode, oldest } of counts)
        if (!isFinal(status))
          this.set({ state: status, mode }, oldest === null ? 0 : secondsSince(oldest, db));
    },
  });
  new Gauge({
    name: 'biolayer_org_tasks',
    help: 'Open tasks by state of the orgs that have most of them (METRICS_TOP_ORGS)',
    labelNames: ['org_id', 'state', 'mode'],
    registers: [registry],
    async collect() {
      const { busiest } = await census.take();
      this.reset();
      for (const { tenant_id, byStatus } of busiest)
        for (const { status, count } of byStatus)
          this.set({ org_id: orgOf(tenant_id), state: status, mode: modeOf(tenant_id) }, count);
    },
  });
}

function addJobMetrics(registry: Registry, db: Db, queues: Queues): void {
  new Gauge({
    name: 'biolayer_jobs',
    help: 'Jobs of a queue by state; failed: recent failures and jobs that fail repeatedly',
    labelNames: ['queue', 'state'],
    registers: [registry],
    async collect() {
      this.reset();
      for (const name of QUEUES)
        for (const queue of queues.named(name)) {
          const counts = await queue.getJobCounts('wait', 'prioritized', 'active', 'delayed', 'failed');
          for (const [state, count] of Object.entries(counts)) this.inc({ queue: name, state }, count);
        }
    },
  });
  new Gauge({
    name: 'biolayer_jobs_oldest_waiting_age_seconds',
    help: 'For how long the first waiting job of a queue in a shard could have run; 0 when none waits',
    labelNames: ['queue', 'shard'],
    registers: [registry],
    async collect() {
      for (const { index: shard, all } of queues.shards)
        for (const name of QUEUES) {
          const since = await waitingSince(all[name]);
          this.set({ queue: name, shard }, since === null ? 0 : secondsSince(since, db));
        }
    },
  });
}

/** Metrics of the replicas, and of the writes that they must confirm. */
function addReplicaMetrics(registry: Registry, db: Db, replicas: ReplicaStatus | null): void {
  const registers = [registry];
  new Gauge({
    name: 'biolayer_redis_replicas',
    help: 'Replicas that follow Redis now; in a cluster those of the master that has fewest',
    registers,
    async collect() {
      const infos = await Promise.all(serversOf(db.redis).map((one) => readInfo(one, 'replication')));
      if (infos.length > 0) this.set(Math.min(...infos.map(onlineReplicas)));
    },
  });
  new Gauge({
    name: 'biolayer_redis_replicas_required',
    help: 'Replicas that must have a change before it is confirmed; 0 with DURABILITY=local',
    registers,
  }).set(replicas?.least ?? 0);
  new Counter({
    name: 'biolayer_writes_unconfirmed_total',
    help: 'Changes that too few replicas confirmed in time, and that were answered with 503',
    registers,
    collect() {
      this.reset();
      this.inc(replicas?.unconfirmed ?? 0);
    },
  });
}

/** Since when the first waiting job could run, ms: since it was added, its delay ended, or it ran before. */
async function waitingSince(queue: Queue): Promise<number | null> {
  const jobs: (Job | undefined)[] = await queue.getJobs(['wait', 'prioritized'], 0, 0, true);
  const times = jobs.flatMap((job) =>
    job === undefined ? [] : [Math.max(job.timestamp + (job.opts.delay ?? 0), job.processedOn ?? 0)],
  );
  return times.length === 0 ? null : Math.min(...times);
}

/** Age of the first entry of a stream, whose id begins with its time, s. */
function ageOfFirst([first]: readonly [id: string, fields: string[]][], db: Db): number {
  return first === undefined ? 0 : secondsSince(Number(first[0].split('-')[0]), db);
}

function secondsSince(at: number, db: Db): number {
  return Math.max(0, (db.clock.now() - at) / 1000);
}
