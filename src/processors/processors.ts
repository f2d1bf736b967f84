// All processors of a worker process: the relay, a BullMQ worker for each queue, the scheduler of checks, sweeper, retention and
// statistics, on connections that wait for Redis during an outage. More worker processes do more in parallel.

import { randomUUID } from 'node:crypto';
import { OutputSchemas } from '../output-schema/output-schemas.ts';
import { type Jobs, QUEUES, type QueueName } from '../queues/catalogue.ts';
import { Queues } from '../queues/queues.ts';
import { allShards, partitionsOf, queuePrefix } from '../queues/shards.ts';
import { createAddressPolicy } from '../state/webhooks/callback-url.ts';
import { DISABLE_AFTER_HOURS } from '../state/webhooks/endpoint.ts';
import { confirmShards } from '../store/maintenance/queue-layout.ts';
import { withUnreadableLog } from '../store/maintenance/unreadable-log.ts';
import { Heartbeat } from '../store/metrics/heartbeat.ts';
import { putOffNotice } from '../store/notices/notices.ts';
import { logClock, RedisClock } from '../store/redis/clock.ts';
import { connect, connectSubscriber, type Db, whenReady } from '../store/redis/connection.ts';
import { KeyConnections } from '../store/redis/key-connections.ts';
import type { Log } from '../store/redis/log.ts';
import { OutageLog } from '../store/redis/outage-log.ts';
import type { Sealer } from '../store/redis/sealing.ts';
import { onLostServer, readTogether } from '../store/redis/servers.ts';
import type { Topology } from '../store/redis/topology.ts';
import { writeProbe } from '../store/redis/write-probe.ts';
import { putOffDelivery } from '../store/webhooks/delivery-lease.ts';
import { runBulkActionJob } from './bulk/bulk-actions.ts';
import { CheckScheduler } from './check-scheduler.ts';
import { runSlaJob } from './due-checks.ts';
import { guardJobs, type RunJob, type RunUnread } from './job-guard.ts';
import { tracedJobs } from './job-tracing.ts';
import { runLifecycleJob } from './lifecycle.ts';
import { LocalJobs } from './local-jobs.ts';
import { ProcessorMetrics } from './metrics.ts';
import { ChannelSender } from './notifications/channel-sender.ts';
import { Mailer, type MailOptions } from './notifications/mail.ts';
import { NotificationProcessor } from './notifications/notify.ts';
import { OutboxWatch } from './outbox-watch.ts';
import { ParallelLimit } from './parallel-limit.ts';
import { startQueueWorkers } from './queue-workers.ts';
import { CLAIM_AFTER_IDLE_MS, Relay } from './relay.ts';
import { Retention } from './retention.ts';
import { StatsTallier } from './stats.ts';
import { Sweeper } from './sweeper.ts';
import { WebhookProcessor } from './webhooks/deliver.ts';
import { WebhookSender } from './webhooks/sender.ts';
import { WriteGate } from './write-gate.ts';

export interface ProcessorOptions {
  redis: Topology;
  prefix: string;
  sealer: Sealer;
  /** Networks beyond the public internet that webhooks may go to, CIDR. */
  webhookAllowedNetworks: readonly string[];
  /**
   * Parallel jobs of the queues that only wait for Redis; `webhooks` runs four times as many, `retries` and `notifications`
   * twice.
   */
  concurrency: number;
  /** Number of shards of the queues; one by default. */
  queueShards?: number;
  /** The shards that this process takes; all by default. */
  workerShards?: readonly number[] | undefined;
  /** The queues that this process takes, some with their number of parallel jobs; all by default. */
  workerQueues?: ReadonlyMap<QueueName, number | null> | undefined;
  log: Log;
  /** Version of the software, for metrics and the heartbeat. */
  version?: string;
  /** The mail server for notices; without it no e-mail is sent. */
  mail?: MailOptions | undefined;
  /** Contact of the operator for push services: a `mailto:` or `https:` URL. */
  vapidSubject?: string;
  /** Origin of the pages, for the links of notices. */
  publicUrl?: string | undefined;
  /** An endpoint is disabled when all deliveries to it have failed for this long, ms. */
  disableEndpointsAfter?: number;
  /** How long a failing delivery delays later events of its task in an ordered endpoint, ms. */
  orderBlockMs?: number;
  /** A job whose process no longer renews its lock is taken over after this, ms. */
  jobLock?: number;
  sweepEvery?: number;
  retentionEvery?: number;
  statsEvery?: number;
  abandonedAfter?: number;
}

export interface Processors {
  db: Db;
  queues: Queues;
  sweeper: Sweeper;
  metrics: ProcessorMetrics;
  /** Stops taking jobs and resolves when the running ones are finished. */
  close(): Promise<void>;
}

/** Steps of bulk actions at the same time: one, so that it leaves room for other work. */
const BULK_CONCURRENCY = 1;
/** Most time for one request to a push service or an incoming webhook, ms: an offer lasts a minute. */
const NOTICE_TIMEOUT_MS = 5_000;
const DEFAULT_VAPID_SUBJECT = 'mailto:operator@localhost';
const DISABLE_AFTER_MS = DISABLE_AFTER_HOURS * 3600 * 1000;

/** Starts all processors; resolves when they run. Waits while Redis is unavailable. */
export async function startProcessors(options: ProcessorOptions): Promise<Processors> {
  const { prefix, log } = options;
  const outages = new OutageLog(log);
  const redis = outages.watch(connect(options.redis, 'patient', outages.onError));
  const queueConnections = new KeyConnections(options.redis, redis, 'patient', outages);
  await whenReady(redis);
  const clock = new RedisClock(redis, { prefix, onEvent: logClock(log) });
  await clock.start();
  const db = withUnreadableLog({ redis, prefix, clock }, log);
  const { version = 'unknown' } = options;
  const metrics = new ProcessorMetrics(db, version);
  const { queueShards = 1, workerShards = allShards(queueShards) } = options;
  const connectionOf = (shard: number) => queueConnections.to(queuePrefix(prefix, shard));
  const queues = new Queues({ connectionOf, prefix, shards: queueShards, now: () => clock.now() });
  const schemas = new OutputSchemas();
  const sender = new WebhookSender({
    policy: createAddressPolicy(options.webhookAllowedNetworks),
    now: () => clock.now(),
  });
  const atOnce = parallelJobs(options);
  const heartbeat = new Heartbeat(db, {
    kind: 'worker',
    version,
    queueShards,
    takes: { queues: [...atOnce.keys()], shards: workerShards },
  });
  await heartbeat.start();
  await confirmShards(db, queueShards);
  const deliveryConcurrency = atOnce.get('webhooks') ?? options.concurrency * 4;
  const webhooks = new WebhookProcessor({
    db,
    jobs: { add: (jobs) => local.add(jobs) },
    sealer: options.sealer,
    sender,
    log,
    concurrency: deliveryConcurrency,
    disableAfter: options.disableEndpointsAfter ?? DISABLE_AFTER_MS,
    blockMs: options.orderBlockMs,
    onAttempt: (outcome, attempt, ms) => metrics.countAttempt(outcome, attempt, ms),
  });

  const noticeSender = new WebhookSender({
    policy: createAddressPolicy(options.webhookAllowedNetworks),
    now: () => clock.now(),
    timeoutMs: NOTICE_TIMEOUT_MS,
    userAgent: 'BioLayer-Notices/1',
  });
  const noticeConcurrency = atOnce.get('notifications') ?? options.concurrency * 2;
  const notifications = new NotificationProcessor({
    db,
    sealer: options.sealer,
    sender: new ChannelSender({
      db,
      sealer: options.sealer,
      sender: noticeSender,
      mailer: options.mail && new Mailer(options.mail),
      vapidSubject: options.vapidSubject ?? DEFAULT_VAPID_SUBJECT,
      concurrency: noticeConcurrency,
    }),
    log,
    publicUrl: options.publicUrl,
    concurrency: noticeConcurrency,
  });

  const deliver: RunJob<'webhooks' | 'retries'> = ({ data }, job, token) => webhooks.run(data, job, token);
  // For a delivery whose record cannot be read: its due time is put off, and the sweeper adds a job then.
  const putOff = ({ data }: Jobs['webhooks' | 'retries']) => putOffDelivery(db, data);
  const gate = new WriteGate(db);
  const plain: Record<QueueName, RunUnread> = {
    lifecycle: gate.held(
      guardJobs(db, 'lifecycle', (read, job, token) =>
        runLifecycleJob({ db, jobs: local, schemas }, read, job, token),
      ),
    ),
    sla: gate.held(
      guardJobs(db, 'sla', (read, job, token) =>
        runSlaJob(
          { db, queues, schemas, log, onCheck: (kind, ms) => metrics.countCheck(kind, ms) },
          read,
          job,
          token,
        ),
      ),
    ),
    webhooks: gate.held(guardJobs(db, 'webhooks', deliver, putOff)),
    retries: gate.held(guardJobs(db, 'retries', deliver, putOff)),
    bulk: gate.held(guardJobs(db, 'bulk', ({ data }, job, token) => runBulkActionJob(db, data, job, token))),
    notifications: gate.held(
      guardJobs(
        db,
        'notifications',
        ({ data }, job, token) => notifications.run(data, job, token),
        ({ data }) => putOffNotice(db, data),
      ),
    ),
  };
  const runners = metrics.measured(tracedJobs(plain));
  const limits = new Map([...atOnce].map(([name, most]) => [name, new ParallelLimit(most)]));
  const workers = startQueueWorkers({
    connectionOf,
    prefix,
    shards: workerShards,
    limits,
    runners,
    gate,
    jobLock: options.jobLock,
    now: () => clock.now(),
    log,
    onError: outages.onError,
  });
  // Matching runs where the outbox is relayed, and the other processes relay nothing.
  const partitions = atOnce.has('lifecycle') ? partitionsOf(workerShards, queueShards) : [];
  const local = new LocalJobs({ queues, runners, limits, log });
  const subscriber = outages.watch(connectSubscriber(options.redis, 'patient', outages.onError, redis));
  const { abandonedAfter = CLAIM_AFTER_IDLE_MS } = options;
  const watch = new OutboxWatch({ db, subscriber, abandonedAfter });
  const whyNotWritable = writeProbe(db);
  const relays = readTogether(redis, partitions).map(
    (read) =>
      new Relay({
        db,
        outboxes: watch.signalOf(read),
        queues,
        jobs: local,
        consumer: randomUUID(),
        log,
        park: (target) => webhooks.park(target),
        whyNotWritable,
        abandonedAfter,
      }),
  );
  onLostServer(redis, () => {
    for (const relay of relays) relay.expectPending();
  });
  await whenReady(subscriber);
  await Promise.all([watch.start(), workers.ready()]);
  for (const relay of relays) relay.start();
  const sweeper = new Sweeper({ db, queues, log, every: options.sweepEvery });
  sweeper.start();
  const scheduler = new CheckScheduler({ db, queues, log });
  scheduler.start();
  const retention = new Retention({ db, log, every: options.retentionEvery });
  retention.start();
  const stats = new StatsTallier({ db, log, every: options.statsEvery });
  stats.start();
  metrics.show({
    relayed: () => relays.reduce((sum, { relayed }) => sum + relayed, 0),
    repaired: () => sweeper.jobsAdded,
    purged: () => retention.purged,
    coolingDown: () => webhooks.coolingDown,
  });

  return {
    db,
    queues,
    sweeper,
    metrics,
    async close() {
      webhooks.close();
      gate.close();
      watch.stop();
      // Not awaited: while Redis does not answer, the entry ends by itself.
      void heartbeat.stop();
      await Promise.all([
        sweeper.close(),
        scheduler.close(),
        retention.close(),
        stats.close(),
        Promise.all(relays.map((relay) => relay.close())).then(() => local.close()),
        workers.close(),
      ]);
      await Promise.all([sender.close(), noticeSender.close(), schemas.close()]);
      await queues.close();
      clock.stop();
      subscriber.disconnect();
      queueConnections.close();
      redis.disconnect();
    },
  };
}

/** The queues that the process takes, with their number of parallel jobs. */
function parallelJobs({ concurrency, workerQueues }: ProcessorOptions): Map<QueueName, number> {
  const usual: Record<QueueName, number> = {
    lifecycle: concurrency,
    sla: concurrency,
    webhooks: concurrency * 4,
    retries: concurrency * 2,
    bulk: BULK_CONCURRENCY,
    notifications: concurrency * 2,
  };
  const taken = QUEUES.filter((name) => workerQueues?.has(name) ?? true);
  return new Map(taken.map((name) => [name, workerQueues?.get(name) ?? usual[name]]));
}
