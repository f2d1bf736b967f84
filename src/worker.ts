// Process type `worker`: runs relay, processors and sweeper, and shows its status if a port is set for it. Any number of these
// processes may run.

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
  (env) => loadConfig(env, 'worker'),
  async (config, log) => {
    const { redis } = config;
    const sealer = sealerOf(config);
    await preflight({ redis, sealer, lostKey: config.secretsKeyLost, log });
    const processors = await startProcessors({
      redis,
      prefix: PREFIX,
      sealer,
      webhookAllowedNetworks: config.webhookAllowedNetworks,
      concurrency: config.workerConcurrency,
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
