// The state of the deployment, for the operator: what is in order, what is not, and what to do about it.

import Type from 'typebox';
import { CHECK_STATUSES, diagnose } from '../../../state/operation/diagnosis.ts';
import { timestamp } from '../../../state/text/time.ts';
import { countSetAside } from '../../../store/maintenance/dead-entries.ts';
import { countSealingKeys } from '../../../store/maintenance/sealing-keys.ts';
import { partitionsKnown, processesAlive } from '../../../store/metrics/heartbeat.ts';
import { hasCompactHashes } from '../../../store/redis/hash-encoding.ts';
import { readInfo } from '../../../store/redis/info.ts';
import { sumOfPartitions } from '../../../store/redis/partition-counts.ts';
import { addressOf, serversOf } from '../../../store/redis/servers.ts';
import { countBacklogged } from '../../../store/webhooks/backlog.ts';
import { closed, time, word } from '../../http/schemas.ts';
import { route } from '../../route.ts';

const Diagnosis = closed(
  {
    checked_at: time('When it was checked'),
    healthy: Type.Boolean({ description: 'False when a check found a fault' }),
    checks: Type.Array(
      closed({
        name: Type.String({ description: 'What was checked', maxLength: 40 }),
        status: word(CHECK_STATUSES, {
          description: 'A fault needs action now, a warning before it becomes one',
        }),
        detail: Type.String({ description: 'What was found', maxLength: 1000 }),
        remedy: Type.Union([Type.String({ maxLength: 1000 }), Type.Null()], {
          description: 'What to do; null when it is in order',
        }),
      }),
      { description: 'In the order in which to act', maxItems: 50 },
    ),
  },
  'Diagnosis',
);

export const diagnosisRoutes = [
  route({
    method: 'GET',
    path: '/admin/diagnosis',
    access: { kind: 'operator' },
    tag: 'Operators',
    operationId: 'getDiagnosis',
    summary: 'Diagnose the deployment',
    description:
      'Checks Redis, its memory and clock, the processes that are alive and the work that waits, and says what to do.',
    responses: { 200: { description: 'What was found', schema: Diagnosis } },
    async handler({ deps: { db, memory, replicas, failedJobs, coverage } }) {
      const [servers, processes, failed, { dead }, outbox, ofNewOrgs, used, compact, sealingKeys, receivers] =
        await Promise.all([
          Promise.all(
            serversOf(db.redis).map(async (one) => ({ name: addressOf(one), info: await readInfo(one) })),
          ),
          processesAlive(db),
          failedJobs(),
          countSetAside(db),
          sumOfPartitions(db, (keys) => ['XLEN', keys.outbox]),
          partitionsKnown(db),
          sumOfPartitions(db, (keys) => ['EXISTS', keys.orgs]),
          hasCompactHashes(db),
          countSealingKeys(db),
          countBacklogged(db),
        ]);
      const checks = diagnose({
        servers,
        isMemoryHigh: memory.isHigh,
        hasCompactHashes: compact,
        replicasRequired: replicas?.least ?? 0,
        isClockHeld: db.clock.isFrozen,
        processes,
        partitions: { ofNewOrgs, used },
        coverage: coverage(processes),
        outbox,
        failedJobs: failed,
        deadEntries: dead,
        sealingKeys,
        receivers,
      });
      const healthy = checks.every(({ status }) => status !== 'fault');
      return { status: 200, body: { checked_at: timestamp(db.clock.now()), healthy, checks } };
    },
  }),
];
