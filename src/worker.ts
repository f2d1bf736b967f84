// The worker process: relay, processors and sweeper. Run as many as there is work for.

import { closeOnSignal, configure, createLog, loadConfig, PREFIX, sayReady, sealerOf } from './process.ts';
import { startProcessors } from './processors/processors.ts';

const config = configure((env) => loadConfig(env, 'worker'));
const log = createLog(config.logLevel, 'worker');
const processors = await startProcessors({
  redisUrl: config.redisUrl,
  prefix: PREFIX,
  sealer: sealerOf(config),
  webhookAllowedNetworks: config.webhookAllowedNetworks,
  concurrency: config.workerConcurrency,
  disableEndpointsAfter: config.webhookDisableAfterHours * 3600_000,
  log,
});
closeOnSignal(log, () => processors.close());
sayReady(log);
