// Process type `web`: serves the API.

import { preflight } from './runtime/preflight.ts';
import { closeOnSignal, loadConfig, logReady, runProcess, sealerOf } from './runtime/process.ts';
import { clientLimitsOf, startWeb } from './runtime/start-web.ts';

await runProcess(
  'web',
  (env) => loadConfig(env, 'web'),
  async (config, log) => {
    const sealer = sealerOf(config);
    const { redis, durabilityReplicas, queueShards, secretsKeyLost: lostKey } = config;
    await preflight({ redis, durabilityReplicas, queueShards, sealer, lostKey, log });
    const web = await startWeb({ ...config, clientLimits: clientLimitsOf(config), sealer, log });
    closeOnSignal(log, () => web.close());
    logReady(log, { url: web.url, port: web.port });
  },
);
