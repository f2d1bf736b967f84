// The web process: the API.

import { preflight } from './runtime/preflight.ts';
import { closeOnSignal, loadConfig, runProcess, sayReady, sealerOf } from './runtime/process.ts';
import { patienceOf, startWeb } from './runtime/start-web.ts';

await runProcess(
  'web',
  (env) => loadConfig(env, 'web'),
  async (config, log) => {
    const sealer = sealerOf(config);
    await preflight({ redisUrl: config.redisUrl, sealer, lostKey: config.secretsKeyLost, log });
    const web = await startWeb({ ...config, patience: patienceOf(config), sealer, log });
    closeOnSignal(log, () => web.close());
    sayReady(log, { url: web.url, port: web.port });
  },
);
