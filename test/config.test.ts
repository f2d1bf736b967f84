// Reading the configuration: valid values, defaults, and faults, which are reported together and without secrets.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, type Environment, loadConfig, type ProcessKind } from '../src/config.ts';
import { DEFAULT_STORAGE_QUOTAS } from '../src/state/access/storage-quotas.ts';

const MIB = 1024 * 1024;
const KEY = Buffer.alloc(32, 7).toString('base64');
const CONNECTED = { REDIS_URL: 'redis://127.0.0.1:6379', SECRETS_KEY: KEY };

function faultsOf(env: Environment, kind: ProcessKind = 'server'): readonly string[] {
  try {
    loadConfig(env, kind);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

describe('rate limits', () => {
  it('are requests/seconds, or off', () => {
    const { quotas } = loadConfig({ RATE_LIMIT_KEY: '600/60', RATE_LIMIT_ORG: 'off' }, 'server');
    expect(quotas).toMatchObject({ key: { requests: 600, seconds: 60 }, org: null });
  });
});

describe('quotas', () => {
  it('are whole numbers, at most 100 for endpoints', () => {
    const { storageQuotas } = loadConfig(
      { QUOTA_OPEN_TASKS: '5', QUOTA_EVIDENCE_BYTES: '1000000000000' },
      'server',
    );
    expect(storageQuotas).toMatchObject({
      open_tasks: 5,
      evidence_bytes: 1e12,
      pools: DEFAULT_STORAGE_QUOTAS.pools,
    });
    expect(faultsOf({ QUOTA_ENDPOINTS: '101', QUOTA_POOLS: 'many' })).toEqual([
      'QUOTA_POOLS must be a whole number from 0 to 1000000000',
      'QUOTA_ENDPOINTS must be a whole number from 0 to 100',
    ]);
  });
});

describe('limits of concurrent requests', () => {
  it('are set by variables, and allow at least the largest request', () => {
    const { inFlight } = loadConfig(
      { MAX_STREAMS: '50', MAX_BODY_BYTES_PER_CREDENTIAL: '5000000' },
      'server',
    );
    expect(inFlight.streams).toEqual({ credential: 100, process: 50 });
    expect(inFlight.bodies).toEqual({ credential: 5_000_000, process: 128 * MIB });
    expect(faultsOf({ MAX_BODY_BYTES: '1000', MAX_UPLOAD_BYTES_PER_CREDENTIAL: '0' })).toEqual([
      'MAX_BODY_BYTES must be a whole number from 4194304 to 1000000000000000',
      'MAX_UPLOAD_BYTES_PER_CREDENTIAL must be a whole number from 26279936 to 1000000000000000',
    ]);
  });
});

describe('defaults', () => {
  it('apply to a server with an empty environment', () => {
    const expected = {
      redis: undefined,
      durabilityReplicas: 0,
      host: '127.0.0.1',
      port: 3000,
      operatorToken: undefined,
      secretsKey: undefined,
      secretsKeyPrevious: undefined,
      webhookAllowedNetworks: [],
      trustedProxies: [],
      corsOrigins: [],
      quotas: {
        key: { requests: 100_000, seconds: 10 },
        org: { requests: 200_000, seconds: 10 },
        address: { requests: 6000, seconds: 60 },
      },
      storageQuotas: DEFAULT_STORAGE_QUOTAS,
      connections: { all: 20_000, address: 2000 },
      inFlight: {
        bodies: { credential: 32 * MIB, process: 128 * MIB },
        uploads: { credential: 100 * MIB + 4 * 65_536, process: 1024 * MIB },
        streams: { credential: 100, process: 10_000 },
      },
      evidenceStore: './.data/evidence',
      logLevel: 'info',
      dataDir: '.data',
      metrics: { host: '127.0.0.1', port: undefined },
      boardActions: false,
      workerConcurrency: 50,
      queueShards: 1,
      workerQueues: undefined,
      workerShards: undefined,
      memoryHighWater: 85,
      metricsTopOrgs: 0,
      archiveAfterDays: 0,
      webhookDisableAfterHours: 120,
    };
    expect(loadConfig({}, 'server')).toEqual(expected);
  });

  it('apply to variables that are empty or blank', () => {
    const blank = {
      REDIS_URL: '',
      SECRETS_KEY: ' ',
      PORT: '',
      HOST: '  ',
      LOG_LEVEL: '',
      OPERATOR_TOKEN: '',
    };
    expect(loadConfig(blank, 'server')).toEqual(loadConfig({}, 'server'));
  });

  it('put the evidence into the data folder', () => {
    expect(loadConfig({ DATA_DIR: '/srv/data' }, 'server').evidenceStore).toBe('/srv/data/evidence');
    expect(loadConfig({ DATA_DIR: '/srv', EVIDENCE_STORE: 's3://bucket' }, 'server').evidenceStore).toBe(
      's3://bucket',
    );
  });
});

it('reads every variable', () => {
  const config = loadConfig(
    {
      ...CONNECTED,
      HOST: '0.0.0.0',
      PORT: '0',
      OPERATOR_TOKEN: 'x'.repeat(16),
      SECRETS_KEY_PREVIOUS: Buffer.alloc(32, 8).toString('base64'),
      LOG_LEVEL: 'trace',
      WORKER_CONCURRENCY: '7',
      QUEUE_SHARDS: '16',
      QUEUES: 'webhooks=400, retries',
      WORKER_SHARDS: '8,0-3',
      METRICS_HOST: '0.0.0.0',
      METRICS_PORT: '9464',
      MEMORY_HIGH_WATER: '70',
      METRICS_TOP_ORGS: '10',
      ARCHIVE_AFTER_DAYS: '90',
      BOARD_ACTIONS: 'on',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
      WEBHOOK_DISABLE_AFTER_HOURS: '24',
    },
    'web',
  );
  expect(config).toMatchObject({
    redis: { kind: 'single', url: CONNECTED.REDIS_URL, tls: undefined },
    metrics: { host: '0.0.0.0', port: 9464 },
    memoryHighWater: 70,
    metricsTopOrgs: 10,
    archiveAfterDays: 90,
    boardActions: true,
    tracesTo: 'http/protobuf',
    secretsKey: KEY,
    secretsKeyPrevious: Buffer.alloc(32, 8).toString('base64'),
    host: '0.0.0.0',
    port: 0,
    operatorToken: 'x'.repeat(16),
    logLevel: 'trace',
    workerConcurrency: 7,
    queueShards: 16,
    workerQueues: new Map([
      ['webhooks', 400],
      ['retries', null],
    ]),
    workerShards: [0, 1, 2, 3, 8],
    webhookDisableAfterHours: 24,
  });
  expect(Object.isFrozen(config)).toBe(true);
});

describe('required variables', () => {
  it.each(['web', 'worker'] as const)('of %s are REDIS_URL and SECRETS_KEY', (kind) => {
    expect(faultsOf({}, kind)).toEqual([
      expect.stringMatching(`^REDIS_URL is required by the ${kind} process`),
      expect.stringMatching(/^SECRETS_KEY is required/),
    ]);
    expect(faultsOf(CONNECTED, kind)).toEqual([]);
  });

  it('of server include SECRETS_KEY if REDIS_URL is set', () => {
    expect(faultsOf({ REDIS_URL: CONNECTED.REDIS_URL }, 'server')).toEqual([
      expect.stringMatching(/^SECRETS_KEY is required/),
    ]);
    expect(faultsOf(CONNECTED, 'server')).toEqual([]);
  });
});

it.each([
  ['REDIS_URL', 'localhost:6379'],
  ['REDIS_URL', 'http://localhost:6379'],
  ['REDIS_URL', 'redis://'],
  ['REDIS_URL', 'redis://localhost/db'],
  ['REDIS_URL', 'redis+sentinel://localhost'],
  ['REDIS_URL', 'redis+cluster://localhost/1'],

  ['DURABILITY', 'always'],
  ['DURABILITY_REPLICAS', '2'],
  ['PORT', '65536'],
  ['PORT', '-1'],
  ['PORT', '80.5'],
  ['PORT', '0x50'],
  ['PORT', 'http'],
  ['OPERATOR_TOKEN', 'x'.repeat(15)],
  ['SECRETS_KEY', Buffer.alloc(31).toString('base64')],
  ['SECRETS_KEY', Buffer.alloc(33).toString('base64')],
  ['SECRETS_KEY', KEY.replace('B', '*')],
  ['SECRETS_KEY', Buffer.alloc(32).toString('hex')],
  ['SECRETS_KEY_PREVIOUS', 'short'],
  ['WEBHOOK_ALLOWED_NETWORKS', '10.0.0.0/33'],
  ['TRUSTED_PROXIES', 'proxy.internal'],
  ['CORS_ORIGINS', '*'],
  ['CORS_ORIGINS', 'https://app.example/'],
  ['CORS_ORIGINS', 'app.example'],
  ['RATE_LIMIT_KEY', '600'],
  ['RATE_LIMIT_ORG', '0/60'],
  ['RATE_LIMIT_ADDRESS', 'none'],
  ['LOG_LEVEL', 'verbose'],
  ['LOG_LEVEL', 'INFO'],
  ['METRICS_PORT', '70000'],
  ['WORKER_CONCURRENCY', '0'],
  ['WORKER_CONCURRENCY', 'many'],
  ['QUEUE_SHARDS', '0'],
  ['QUEUE_SHARDS', '17'],
  ['QUEUES', 'webhook'],
  ['QUEUES', 'webhooks=0'],
  ['WORKER_SHARDS', '1'],
  ['WORKER_SHARDS', '0-'],
])('refuses %s=%s with one line that names the variable', (name, value) => {
  expect(faultsOf({ ...CONNECTED, [name]: value })).toEqual([expect.stringMatching(`^${name} `)]);
});

it('reports all faults at once, each on its own line of the message', () => {
  const env = { REDIS_URL: 'nowhere', PORT: 'x', LOG_LEVEL: 'loud', TRUSTED_PROXIES: 'a,b' };
  const faults = faultsOf(env, 'web');
  expect(faults.map((fault) => fault.split(' ', 1)[0]).sort()).toEqual([
    'LOG_LEVEL',
    'PORT',
    'REDIS_URL',
    'SECRETS_KEY',
    'TRUSTED_PROXIES',
  ]);
  expect(new ConfigError(faults).message.split('\n')).toEqual(faults);
});

it('with DURABILITY=replicated, the number of replicas is that of DURABILITY_REPLICAS', () => {
  const env = { ...CONNECTED, DURABILITY: 'replicated', DURABILITY_REPLICAS: '2' };
  expect(loadConfig(env, 'web').durabilityReplicas).toBe(2);
  expect(faultsOf({ ...CONNECTED, DURABILITY: 'replicated' })).toEqual([
    expect.stringMatching(/^DURABILITY_REPLICAS is required with DURABILITY=replicated/),
  ]);
});

describe('TLS and sentinels', () => {
  const url = 'rediss+sentinel://sentinel.example/mymaster';

  it('take the texts of the files, and the credentials of the sentinels', () => {
    const file = fileURLToPath(import.meta.url);
    const text = readFileSync(file, 'utf8');
    const tls = { REDIS_TLS_CA: file, REDIS_TLS_CERT: file, REDIS_TLS_KEY: file };
    const { redis } = loadConfig(
      { ...CONNECTED, ...tls, REDIS_URL: url, SENTINEL_USERNAME: 'watch', SENTINEL_PASSWORD: 'guard' },
      'web',
    );
    expect(redis).toMatchObject({
      kind: 'sentinel',
      tls: { ca: text, cert: text, key: text },
      sentinelUsername: 'watch',
      sentinelPassword: 'guard',
    });
  });

  it('must fit together', () => {
    const file = fileURLToPath(import.meta.url);
    expect(faultsOf({ ...CONNECTED, REDIS_URL: url, REDIS_TLS_CERT: file })).toEqual([
      expect.stringMatching(/^REDIS_TLS_CERT and REDIS_TLS_KEY are required together/),
    ]);
    expect(faultsOf({ ...CONNECTED, REDIS_TLS_CA: file })).toEqual([
      'REDIS_TLS_CA has no effect unless REDIS_URL begins with rediss',
    ]);
  });
});

it('never repeats a secret', () => {
  const secret = 'hunter2-hunter2';
  const env = {
    REDIS_URL: `rediss://user:${secret}@`,
    OPERATOR_TOKEN: secret,
    SECRETS_KEY: secret,
    SECRETS_KEY_PREVIOUS: secret,
  };
  const faults = faultsOf(env);
  expect(faults).toHaveLength(4);
  expect(faults.join()).not.toContain('hunter2');
});

describe('networks', () => {
  const networksOf = (text: string) =>
    loadConfig({ WEBHOOK_ALLOWED_NETWORKS: text }, 'server').webhookAllowedNetworks;

  it.each([
    ['10.0.0.0/8', ['10.0.0.0/8']],
    ['10.1.2.3/8', ['10.0.0.0/8']],
    ['127.0.0.1', ['127.0.0.1/32']],
    ['0.0.0.0/0', ['0.0.0.0/0']],
    ['::1', ['::1/128']],
    ['FD00:0:0::12/8', ['fd00::/8']],
    ['::ffff:10.1.2.3', ['10.1.2.3/32']],
    ['::ffff:10.1.2.3/104', ['10.0.0.0/8']],
    [' 10.0.0.0/8 ,, ::1/128,10.9.9.9/8 ', ['10.0.0.0/8', '::1/128']],
  ])('%s → %j', (text, expected) => {
    expect(networksOf(text)).toEqual(expected);
  });

  it.each([
    '127.1',
    '010.0.0.1',
    '0x7f000001',
    '2130706433',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
    '::/129',
  ])('refuses %s, which programs interpret differently', (text) => {
    expect(faultsOf({ WEBHOOK_ALLOWED_NETWORKS: text })).toEqual([
      expect.stringMatching(/^WEBHOOK_ALLOWED_NETWORKS must be a list/),
    ]);
  });

  it('names only the entries that are not valid', () => {
    const [fault] = faultsOf({ TRUSTED_PROXIES: '10.0.0.0/8,nonsense,::1,1.2.3' });
    expect(fault).toMatch(/: nonsense, 1\.2\.3$/);
  });

  it('stay the same when normalised again', () => {
    const cidr = fc.oneof(
      fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })),
      fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })),
    );
    fc.assert(
      fc.property(cidr, ([address, bits]) => {
        const [network = ''] = networksOf(`${address}/${bits}`);
        expect(networksOf(network)).toEqual([network]);
      }),
    );
  });
});

it.each([
  [{}, undefined],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://x.example/v1/traces' }, 'http/protobuf'],
  [{ OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }, 'http/json'],
  [{ OTEL_TRACES_EXPORTER: 'console' }, 'console'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_TRACES_EXPORTER: 'none' }, undefined],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_SDK_DISABLED: 'true' }, undefined],
])('sends traces as %o says: %s', (env, expected) => {
  expect(loadConfig(env, 'server').tracesTo).toBe(expected);
});

it('refuses other exporters and protocols of traces', () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318',
    OTEL_TRACES_EXPORTER: 'zipkin',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  };
  expect(faultsOf(env)).toEqual([
    'OTEL_EXPORTER_OTLP_ENDPOINT must be an http:// or https:// URL',
    'OTEL_TRACES_EXPORTER must be otlp, console or none',
    'OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf or http/json; gRPC is not supported',
  ]);
});

it('returns a configuration, or faults that name a variable, for any environment', () => {
  const names = ['REDIS_URL', 'PORT', 'SECRETS_KEY', 'TRUSTED_PROXIES', 'LOG_LEVEL', 'WORKER_CONCURRENCY'];
  const env = fc.dictionary(fc.constantFrom(...names), fc.string());
  fc.assert(
    fc.property(env, (each) => {
      for (const fault of faultsOf(each)) expect(names).toContain(fault.split(' ', 1)[0]);
    }),
  );
});
