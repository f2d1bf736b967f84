// What is found from the facts of a deployment.
import { describe, expect, it } from 'vitest';
import { coverageOf } from '../../../src/state/operation/coverage.ts';
import { diagnose, type Facts } from '../../../src/state/operation/diagnosis.ts';

const MIB = 1024 ** 2;
const REDIS = {
  redis_version: '7.2.4',
  maxmemory_policy: 'noeviction',
  aof_enabled: '1',
  aof_last_write_status: 'ok',
  used_memory: String(100 * MIB),
  maxmemory: String(1000 * MIB),
};
const REPLICA = 'ip=127.0.0.1,port=6380,state=online,offset=1,lag=0';
const taking = (queue: string) => ({
  kind: 'worker',
  version: '1.0.0',
  takes: { queues: [queue], shards: [0, 2] },
});
const PROCESSES = ['web', 'worker', 'worker'].map((kind) => ({ kind, version: '1.0.0' }));

function factsWith({ redis, ...change }: Partial<Omit<Facts, 'redis'>> & { redis?: object } = {}): Facts {
  return {
    servers: [{ name: 'a:6379', info: new Map(Object.entries({ ...REDIS, ...redis })) }],
    isMemoryHigh: false,
    hasCompactHashes: true,
    replicasRequired: 0,
    isClockHeld: false,
    processes: PROCESSES,
    partitions: { ofNewOrgs: 256, used: 3 },
    coverage: coverageOf(change.processes ?? PROCESSES, ['sla', 'bulk'], 4),
    outbox: 0,
    failedJobs: { lifecycle: 0, sla: 0 },
    deadEntries: 0,
    sealingKeys: 1,
    receivers: { backlogged: 0, first: null, waiting: 0 },
    ...change,
  };
}

const notOk = (facts: Facts) => diagnose(facts).filter((one) => one.status !== 'ok');

describe('a diagnosis', () => {
  it('finds nothing where all is in order, and says what it saw', () => {
    const checks = diagnose(factsWith());
    expect(checks.map((one) => one.status)).toEqual(checks.map(() => 'ok'));
    expect(checks.every((one) => one.remedy === null && one.detail.length > 5)).toBe(true);
    expect(checks.find((one) => one.name === 'memory')?.detail).toBe('100 MiB of 1000 MiB used');
  });

  it('names the node of a cluster that has a fault', () => {
    const [server] = factsWith().servers;
    const old = new Map(Object.entries({ ...REDIS, redis_version: '6.2.14' }));
    const servers = [...(server ? [server] : []), { name: 'b:6379', info: old }];
    expect(notOk({ ...factsWith(), servers })).toMatchObject([
      { name: 'redis', detail: 'b:6379: version 6.2.14' },
    ]);
  });

  it.each([
    ['redis', 'fault', { redis: { redis_version: '6.2.14' } }],
    ['eviction', 'fault', { redis: { maxmemory_policy: 'allkeys-lru' } }],
    ['persistence', 'fault', { redis: { aof_enabled: '0' } }],
    ['persistence', 'fault', { redis: { aof_last_write_status: 'err' } }],
    ['memory', 'warning', { redis: { maxmemory: '0' } }],
    ['replicas', 'fault', { replicasRequired: 2, redis: { connected_slaves: '1', slave0: REPLICA } }],
    ['replicas', 'warning', { redis: { connected_slaves: '2', slave0: REPLICA } }],
    ['memory', 'warning', { redis: { used_memory: String(701 * MIB) } }],
    ['memory', 'fault', { redis: { used_memory: String(900 * MIB) }, isMemoryHigh: true }],
    ['encoding', 'warning', { hasCompactHashes: false }],
    ['clock', 'fault', { isClockHeld: true }],
    ['processes', 'warning', { processes: PROCESSES.slice(0, 2) }],
    ['processes', 'fault', { processes: PROCESSES.slice(0, 1) }],
    ['queues', 'fault', { processes: [...PROCESSES.slice(0, 1), taking('sla'), taking('bulk')] }],
    ['versions', 'warning', { processes: [...PROCESSES, { kind: 'worker', version: '1.1.0' }] }],
    ['outbox', 'warning', { outbox: 10_000 }],
    ['failed_jobs', 'warning', { failedJobs: { lifecycle: 0, sla: 3 } }],
    ['dead_entries', 'warning', { deadEntries: 1 }],
    ['secrets', 'warning', { sealingKeys: 2 }],
    ['receivers', 'warning', { receivers: { backlogged: 1, first: 'x.example of org o', waiting: 7 } }],
  ] as const)('finds that %s has a %s', (name, status, change) => {
    const found = notOk(factsWith(change));
    expect(found).toMatchObject([{ name, status }]);
    expect(found[0]?.remedy).toMatch(/^[A-Z].*\.$/);
  });
});
