// Process type `worker`: runs relay, processors and sweeper. Any number of these processes may run.

import { startProcessors } from './processors/processors.ts';
import { noticeOptionsOf } from './runtime/notice-options.ts';
import { preflight } from './runtime/preflight.ts';
import { closeOnSignal, loadConfig, logReady, PREFIX, runProcess, sealerOf } from './runtime/process.ts';

await runProcess(
  'worker',
  (env) => loadConfig(env, 'worker'),
  async (config, log) => {
    const { redisUrl } = config;
    const sealer = sealerOf(config);
    await preflight({ redisUrl, sealer, lostKey: config.secretsKeyLost, log });
    const processors = await startProcessors({
      redisUrl,
      prefix: PREFIX,
      sealer,
      webhookAllowedNetworks: config.webhookAllowedNetworks,
      concurrency: config.workerConcurrency,
      ...noticeOptionsOf(config),
      disableEndpointsAfter: config.webhookDisableAfterHours * 3600_000,
      log,
    });
    closeOnSignal(log, () => processors.close());
    logReady(log);
  },
);
