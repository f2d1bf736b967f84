// Process type `worker`: runs relay, processors and sweeper, and shows its status if a port is set for it. Any number of these
// processes may run, each for all queues and shards or for some.

import { Command } from 'commander';
import { startProcessors } from './processors/processors.ts';
import { noticeOptionsOf } from './runtime/notice-options.ts';
import { preflight } from './runtime/preflight.ts';
import {
  closeOnSignal,
  loadConfig,
  logReady,
  PREFIX,
  runProcess,
  sealerOf,
  VERSION,
} from './runtime/process.ts';
import { startStatusServer } from './runtime/worker-status.ts';

await runProcess(
  'worker',
  (env) => loadConfig({ ...env, ...variablesOf(process.argv) }, 'worker'),
  async (config, log) => {
    const { redis, queueShards, workerShards, workerQueues } = config;
    const sealer = sealerOf(config);
    await preflight({ redis, queueShards, sealer, lostKey: config.secretsKeyLost, log });
    const processors = await startProcessors({
      redis,
      prefix: PREFIX,
      sealer,
      webhookAllowedNetworks: config.webhookAllowedNetworks,
      concurrency: config.workerConcurrency,
      queueShards,
      workerShards,
      workerQueues,
      ...noticeOptionsOf(config),
      disableEndpointsAfter: config.webhookDisableAfterHours * 3600_000,
      version: VERSION,
      log,
    });
    const { db, metrics } = processors;
    const { host, port } = config.metrics;
    const status =
      port === undefined
        ? undefined
        : await startStatusServer({ host, port }, { db, scrape: () => metrics.scrape() });
    closeOnSignal(log, async () => {
      await processors.close();
      // Last, because a health check must not report a process as dead while it finishes its work.
      await status?.close();
    });
    logReady(log, status && { metrics_url: status.url });
  },
);

/** The variables that flags of the command line set. A wrong flag ends the process. */
function variablesOf(argv: readonly string[]): Record<string, string | undefined> {
  const { queues, shards } = new Command('worker')
    .description('Run jobs of BioLayer. Everything else is set by environment variables.')
    .option(
      '--queues <names>',
      'queues to take, such as webhooks=400,retries (variable QUEUES; default: all)',
    )
    .option('--shards <numbers>', 'shards to take, such as 0-3,8 (variable WORKER_SHARDS; default: all)')
    .parse(argv)
    .opts<{ queues?: string; shards?: string }>();
  return {
    ...(queues !== undefined && { QUEUES: queues }),
    ...(shards !== undefined && { WORKER_SHARDS: shards }),
  };
}
