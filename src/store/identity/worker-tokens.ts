// Worker tokens. The record of a token is under the hash of its text; a set for each worker lists the hashes, so that
// all tokens of the worker can be revoked together.

import type { Worker } from '../../state/workers/worker.ts';
import type { Change, Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { asLoaded } from '../workers/workers.ts';

export interface WorkerToken {
  kind: 'worker_token';
  org_id: string;
  worker_id: string;
  /** Incarnation of the worker: the token is not valid for a later worker with the same id. */
  incarnation?: string;
  /** Pools of the API key that created it: it has no access to tasks of other pools. Absent: all pools. */
  pools?: readonly string[];
}

/** Most tokens that a worker may have at once. */
export const WORKER_TOKENS = 100;

/** Number of tokens of the worker. */
export function countWorkerTokens(db: Db, orgId: string, workerId: string): Promise<number> {
  return db.redis.scard(orgKeysOf(db.prefix, orgId).workerTokens(workerId));
}

/**
 * Guards and writes that create a token for the worker; the guards fail when the worker has changed since it was
 * loaded, or has `WORKER_TOKENS` tokens.
 * @param pools of the API key that creates it; see `WorkerToken`. @param hash SHA-256 of the token, hex.
 */
export function workerTokenWrites(
  db: Db,
  worker: Pick<Worker, 'org_id' | 'worker_id' | 'version' | 'incarnation'>,
  pools: readonly string[],
  hash: string,
): Change {
  const { org_id, worker_id, incarnation } = worker;
  const keys = orgKeysOf(db.prefix, org_id);
  const token: WorkerToken = {
    kind: 'worker_token',
    org_id,
    worker_id,
    ...(incarnation !== undefined && { incarnation }),
    ...(!pools.includes('*') && { pools }),
  };
  return {
    guards: [
      asLoaded(db, worker),
      { kind: 'below_limit', countWith: 'SCARD', key: keys.workerTokens(worker_id), limit: WORKER_TOKENS },
    ],
    writes: [
      ['SET', keys.credential(hash), JSON.stringify(token)],
      ['SADD', keys.workerTokens(worker_id), hash],
    ],
  };
}

/** Whether the worker of a token, link or session still exists; a later worker with the same id does not count. */
export async function hasItsWorker(
  db: Db,
  { org_id, worker_id, incarnation = '' }: Pick<WorkerToken, 'org_id' | 'worker_id' | 'incarnation'>,
): Promise<boolean> {
  const [version, current] = await db.redis.hmget(orgKeysOf(db.prefix, org_id).worker(worker_id), 'v', 'i');
  return version != null && (current ?? '') === incarnation;
}

/**
 * Guards and writes that revoke all tokens of the worker, and the hashes of the tokens. The guards fail when a token was
 * created since: it must be revoked too.
 */
export async function revokeWorkerTokens(
  db: Db,
  orgId: string,
  workerId: string,
): Promise<Change & { hashes: string[] }> {
  const keys = orgKeysOf(db.prefix, orgId);
  const key = keys.workerTokens(workerId);
  const hashes = await db.redis.smembers(key);
  return {
    hashes,
    guards: [{ kind: 'members', key, members: hashes }],
    writes:
      hashes.length === 0
        ? []
        : [...hashes.map((hash): Write => ['DEL', keys.credential(hash)]), ['DEL', key]],
  };
}
