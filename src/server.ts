// Everything in one process: an embedded Redis unless REDIS_URL names one, the API, the processors, and a
// demo org to try it with.

import { ensureDemoOrg } from './demo-org.ts';
import { embeddedSecrets, startEmbeddedRedis } from './embedded-redis.ts';
import { closeOnSignal, configure, createLog, loadConfig, PREFIX, sayReady, sealerOf } from './process.ts';
import { startProcessors } from './processors/processors.ts';
import { startWeb } from './start-web.ts';

const config = configure((env) => loadConfig(env, 'server'));
const log = createLog(config.logLevel, 'server');
const embedded = config.redisUrl === undefined ? await startEmbeddedRedis({ dir: config.dataDir }) : null;
const own = await embeddedSecrets(config.dataDir);
const redisUrl = config.redisUrl ?? embedded?.url ?? '';
const operatorToken = config.operatorToken ?? own.operatorToken;
const sealer = sealerOf({ ...config, secretsKey: config.secretsKey ?? own.secretsKey });
const {
  webhookAllowedNetworks,
  trustedProxies,
  corsOrigins,
  quotas,
  evidenceStore,
  host,
  port,
  workerConcurrency: concurrency,
  webhookDisableAfterHours,
} = config;

const web = await startWeb({
  redisUrl,
  host,
  port,
  sealer,
  operatorToken,
  webhookAllowedNetworks,
  trustedProxies,
  corsOrigins,
  quotas,
  // With a Redis of its own it is for this machine, unless it says under what name others reach it.
  publicUrl: config.publicUrl ?? (config.redisUrl === undefined ? 'own' : undefined),
  evidenceStore,
  log,
});
const processors = await startProcessors({
  redisUrl,
  prefix: PREFIX,
  sealer,
  webhookAllowedNetworks,
  disableEndpointsAfter: webhookDisableAfterHours * 3600_000,
  concurrency,
  log,
});
closeOnSignal(log, async () => {
  await web.close();
  await processors.close();
  await embedded?.stop();
});
const demo = await ensureDemoOrg(web.db, sealer, config.dataDir);

process.stdout.write(`
BioLayer is up.

  API             ${web.url}/v1
  Docs            ${web.url}/docs
  Queues          ${web.url}/admin/queues    (user: operator, password: the operator token)

  Demo org        ${demo.org_id}
  API key         ${demo.api_key}
  Worker token    ${demo.worker_token}    (worker ${demo.worker_id} of pool ${demo.pool_id})
  Operator token  ${operatorToken}

`);
sayReady(log, { url: web.url, port: web.port });
