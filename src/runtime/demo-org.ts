// Creates the demo org: a pool, a worker who is qualified for the example task, and credentials. The credentials are
// stored in the data folder, so that they stay the same over restarts.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newTrackRecord } from '../state/workers/track-record.ts';
import type { Pool, Worker } from '../state/workers/worker.ts';
import { commitAudited } from '../store/audit/audit-log.ts';
import { newCredential, parseCredential } from '../store/identity/credential-text.ts';
import { findCredential } from '../store/identity/credentials.ts';
import { newOrg } from '../store/identity/new-org.ts';
import { workerTokenWrites } from '../store/identity/worker-tokens.ts';
import type { Db } from '../store/redis/connection.ts';
import { newId } from '../store/redis/ids.ts';
import type { Sealer } from '../store/redis/sealing.ts';
import { poolWrites } from '../store/workers/pools.ts';
import { workerWrites } from '../store/workers/workers.ts';

/** Ids and credentials of a demo org. */
export interface DemoOrg {
  org_id: string;
  api_key: string;
  worker_id: string;
  worker_token: string;
  pool_id: string;
}

/** The demo org of `dataDir`; creates one if the folder names none, or one that this Redis does not have. */
export async function ensureDemoOrg(db: Db, sealer: Sealer, dataDir: string): Promise<DemoOrg> {
  const file = join(dataDir, 'demo.json');
  const known = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as DemoOrg,
    () => null,
  );
  const where = known === null ? null : parseCredential(known.api_key);
  if (known !== null && where !== null && (await findCredential(db, where)) !== null) return known;
  const made = await makeDemoOrg(db, sealer);
  await writeFile(file, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 });
  return made;
}

/** Creates an org with a pool and an available worker. */
export async function makeDemoOrg(db: Db, sealer: Sealer): Promise<DemoOrg> {
  const now = db.clock.now();
  const { org, apiKey, change, auditEvent } = newOrg(db, sealer, 'Demo', 'system');
  const { org_id } = org;
  const stamps = { org_id, version: 1, created_at: now, updated_at: now };
  const pool: Pool = {
    ...stamps,
    incarnation: newId(now),
    pool_id: 'demo-pool',
    name: 'Demo pool',
    offer_mode: 'sequential',
    broadcast_size: 5,
    offer_ttl_seconds: null,
  };
  const worker: Worker = {
    ...stamps,
    incarnation: newId(now),
    worker_id: 'demo-worker',
    name: 'Demo worker',
    pool_ids: [pool.pool_id],
    skills: ['phone_verification', 'incident_response'],
    certifications: ['soc-operator'],
    trust_level: 5,
    rating: 5,
    track: newTrackRecord(5),
    capacity: 5,
    availability: 'available',
    draining: false,
    reservations: [],
    idle_since: now,
  };
  const token = newCredential('blw_', org_id);
  const changes = [change, poolWrites(db, null, pool), workerWrites(db, null, worker)];
  await commitAudited(db, org_id, auditEvent, {
    guards: changes.flatMap((one) => one.guards),
    writes: [
      ...changes.flatMap((one) => one.writes),
      ...workerTokenWrites(db, worker, ['*'], token.hash).writes,
    ],
  });
  return {
    org_id,
    api_key: apiKey,
    worker_id: worker.worker_id,
    worker_token: token.text,
    pool_id: pool.pool_id,
  };
}
