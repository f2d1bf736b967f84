// Everything in one process: an embedded Redis unless REDIS_URL names one, the API, the processors, and a
// demo org to try it with.

import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { startProcessors } from './processors/processors.ts';
import { ensureDemoOrg } from './runtime/demo-org.ts';
import { embeddedSecrets, startEmbeddedRedis } from './runtime/embedded-redis.ts';
import { preflight } from './runtime/preflight.ts';
import { closeOnSignal, loadConfig, PREFIX, runProcess, sayReady, sealerOf } from './runtime/process.ts';
import { patienceOf, startWeb } from './runtime/start-web.ts';
import { usable } from './runtime/startup-fault.ts';

await runProcess('server', (env) => loadConfig(env, 'server'), startAll);

async function startAll(config: Config, log: Logger): Promise<void> {
  const { dataDir: dir } = config;
  const [embedded, own] = await usable(`DATA_DIR ${dir}`, async () => [
    config.redisUrl === undefined ? await startEmbeddedRedis({ dir }) : null,
    await embeddedSecrets(dir),
  ]);
  const redisUrl = config.redisUrl ?? embedded?.url ?? '';
  const operatorToken = config.operatorToken ?? own.operatorToken;
  const sealer = sealerOf({ ...config, secretsKey: config.secretsKey ?? own.secretsKey });
  await preflight({ redisUrl, sealer, lostKey: config.secretsKeyLost, log });
  const {
    webhookAllowedNetworks,
    trustedProxies,
    corsOrigins,
    quotas,
    storageQuotas,
    inFlight,
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
    storageQuotas,
    inFlight,
    // With a Redis of its own it is for this machine, unless it says under what name others reach it.
    publicUrl: config.publicUrl ?? (config.redisUrl === undefined ? 'own' : undefined),
    evidenceStore,
    patience: patienceOf(config),
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
}
