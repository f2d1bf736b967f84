// Runs everything in one process: the API, the processors, a demo org, and an embedded Redis unless REDIS_URL is set.

import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { startProcessors } from './processors/processors.ts';
import { demoSignInLinks, ensureDemoOrg } from './runtime/demo-org.ts';
import { ensureDemoTask } from './runtime/demo-task.ts';
import { startEmbeddedRedis } from './runtime/embedded-redis.ts';
import { embeddedSecrets } from './runtime/embedded-secrets.ts';
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
import { clientLimitsOf, startWeb } from './runtime/start-web.ts';
import { asStartupFault } from './runtime/startup-fault.ts';
import { readTopology } from './store/redis/topology.ts';

await runProcess('server', (env) => loadConfig(env, 'server'), startAll);

async function startAll(config: Config, log: Logger): Promise<void> {
  const { dataDir: dir } = config;
  const [embedded, own] = await asStartupFault(`DATA_DIR ${dir}`, async () => [
    config.redis === undefined ? await startEmbeddedRedis({ dir }) : null,
    await embeddedSecrets(dir),
  ]);
  const redis = config.redis ?? (embedded === null ? undefined : readTopology(embedded.url));
  if (redis === undefined) throw new Error('there is no Redis to connect to');
  const operatorToken = config.operatorToken ?? own.operatorToken;
  const sealer = sealerOf({ ...config, secretsKey: config.secretsKey ?? own.secretsKey });
  const { durabilityReplicas, queueShards, secretsKeyLost: lostKey } = config;
  await preflight({ redis, durabilityReplicas, queueShards, sealer, lostKey, log });
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
    redis,
    durabilityReplicas,
    queueShards,
    host,
    port,
    sealer,
    operatorToken,
    webhookAllowedNetworks,
    trustedProxies,
    corsOrigins,
    quotas,
    storageQuotas,
    memoryHighWater: config.memoryHighWater,
    metricsTopOrgs: config.metricsTopOrgs,
    boardActions: config.boardActions,
    inFlight,
    mail: config.mail,
    // With an embedded Redis, clients are on this machine unless PUBLIC_URL is set.
    publicUrl: config.publicUrl ?? (config.redis === undefined ? 'own' : undefined),
    evidenceStore,
    archiveAfterDays: config.archiveAfterDays,
    clientLimits: clientLimitsOf(config),
    log,
  });
  const processors = await startProcessors({
    redis,
    prefix: PREFIX,
    sealer,
    webhookAllowedNetworks,
    disableEndpointsAfter: webhookDisableAfterHours * 3600_000,
    concurrency,
    queueShards,
    workerShards: config.workerShards,
    workerQueues: config.workerQueues,
    ...noticeOptionsOf({ ...config, publicUrl: config.publicUrl ?? web.url }),
    version: VERSION,
    log,
  });
  closeOnSignal(log, async () => {
    await web.close();
    await processors.close();
    await embedded?.stop();
  });
  const demo = await ensureDemoOrg(web.db, sealer, config.dataDir);
  if (demo.person_id !== undefined)
    await ensureDemoTask(web.url, demo, demo.person_id).catch((err: unknown) =>
      // Someone may have used up the quotas of the demo org, or suspended it.
      log.warn({ err }, 'the demo has no task for a person'),
    );
  const links = await demoSignInLinks(web.db, demo, config.publicUrl ?? web.url);

  process.stdout.write(`
BioLayer is up.

  Worker's pages  ${links.work ?? `${web.url}/work`}
  Team's console  ${links.console ?? `${web.url}/console`}
                  (each link signs in the demo's person or member once; later as ${demo.member?.email}, ${demo.member?.password})

  API             ${web.url}/v1
  Docs            ${web.url}/docs
  Queues          ${web.url}/admin/queues    (user: operator, password: the operator token)

  Demo org        ${demo.org_id}
  API key         ${demo.api_key}
  Worker token    ${demo.worker_token}    (worker ${demo.worker_id} of pool ${demo.pool_id})
  Operator token  ${operatorToken}

`);
  logReady(log, { url: web.url, port: web.port });
}
