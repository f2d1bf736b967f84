// After SECRETS_KEY was changed: what is kept for long and lies sealed with the earlier key is sealed anew, so that
// the earlier one can be thrown away. A walk over all orgs and tasks in steps, each of them small; whoever is
// stopped goes on, or begins again: what is done is passed over. What ends by itself is left alone.

import { orgOf } from '../../state/access/tenant.ts';
import type { TaskInput } from '../../state/tasks/task.ts';
import { resealAuditKeys } from '../audit/signing-keys.ts';
import { replaceInput } from '../commands/task-writes.ts';
import { resealOAuthSettings } from '../identity/oauth-settings.ts';
import {
  allTenants,
  callbackAuthContext,
  loadOrg,
  orgWrites,
  signingSecrets,
  webhookSecretContext,
  withSigningSecrets,
} from '../identity/orgs.ts';
import { commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, ContendedError, updateWithRetry } from '../redis/contention.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { type Sealer, UnopenableError } from '../redis/sealing.ts';
import { fetched, isOfItem, readableOrNull, reportFailed } from '../redis/unreadable.ts';
import { endpointContext, endpointWrites, loadEndpoint } from '../webhooks/endpoints.ts';
import { retireSealingKeys } from './sealing-keys.ts';

/** Tasks and orgs looked at in one step. */
const STEP = 500;
const AT_ONCE = 100;

export interface Resealed {
  /** Things that were sealed anew. */
  resealed: number;
  /** What no key opens any more. */
  lost: Lost[];
  /** Where to go on; null when all has been looked at. */
  next: string | null;
}

/** Kinds of things that are sealed for long. */
export const SEALED_KINDS = [
  'audit_signing_key',
  'oauth_settings',
  'webhook_secret',
  'webhook_endpoint',
  'task',
] as const;

/** A thing whose secrets cannot be opened. */
export interface Lost {
  kind: (typeof SEALED_KINDS)[number];
  /** Its org, or that org's sandbox; null for what belongs to the whole system. */
  tenant: string | null;
  /** Id of the endpoint or task; null where there is one of its kind. */
  id: string | null;
  /** Id of the key that it says it was sealed with; null when it says none. */
  key_id: string | null;
}

type Count = Omit<Resealed, 'next'>;
/** What became of one thing: whether it was sealed anew, or that it is lost. */
type Outcome = boolean | Lost;

/** One step of the walk. @param after where the step before it ended; null at the beginning. */
export async function resealSome(db: Db, sealer: Sealer, after: string | null): Promise<Resealed> {
  const count: Count = { resealed: 0, lost: [] };
  const add = (outcomes: readonly Outcome[]) => {
    for (const one of outcomes)
      if (typeof one === 'object') count.lost.push(one);
      else if (one) count.resealed += 1;
  };
  if (after === null)
    add(
      await Promise.all([
        tried(db, 'audit_signing_key', null, null, () => resealAuditKeys(db, sealer)),
        tried(db, 'oauth_settings', null, null, () => resealOAuthSettings(db, sealer)),
      ]),
    );
  let [from = '', task = ''] = (after ?? '').split(' ');
  let left = STEP;
  for (const tenantId of (await allTenants(db)).sort()) {
    if (tenantId < from) continue;
    if (tenantId > from) task = '';
    from = tenantId;
    if (task === '') {
      add(await resealOrg(db, sealer, tenantId));
      left -= 1;
    }
    for (;;) {
      if (left <= 0) return { ...count, next: `${tenantId} ${task}`.trim() };
      const all = orgKeysOf(db.prefix, tenantId).index('all');
      const behind = task === '' ? '-' : `(${task}`;
      const read = () => fetched(all, db.redis.zrangebylex(all, behind, '+', 'LIMIT', 0, AT_ONCE));
      const ids = (await readableOrNull(db, read)) ?? [];
      add(
        await Promise.all(
          ids.map((id) => tried(db, 'task', tenantId, id, () => resealTask(db, sealer, tenantId, id))),
        ),
      );
      left -= ids.length;
      task = ids.at(-1) ?? '';
      if (ids.length < AT_ONCE) break;
    }
  }
  await retireSealingKeys(db, sealer);
  return { ...count, next: null };
}

async function tried(
  db: Db,
  kind: Lost['kind'],
  tenant: string | null,
  id: string | null,
  reseal: () => Promise<boolean>,
): Promise<Outcome> {
  try {
    return await reseal();
  } catch (error) {
    if (error instanceof UnopenableError) return { kind, tenant, id, key_id: error.keyId };
    if (!isOfItem(error) || error instanceof ContendedError) throw error;
    reportFailed(db, keyOf(db, kind, tenant, id), error);
    return { kind, tenant, id, key_id: null };
  }
}

/** The key of what is sealed, to tell of it by. */
function keyOf(db: Db, kind: Lost['kind'], tenant: string | null, id: string | null): string {
  if (tenant === null) return kind;
  const keys = orgKeysOf(db.prefix, tenant);
  return kind === 'webhook_secret' || id === null
    ? keys.org
    : kind === 'task'
      ? keys.task(id)
      : keys.endpoint(id);
}

async function resealOrg(db: Db, sealer: Sealer, tenantId: string): Promise<Outcome[]> {
  const keys = orgKeysOf(db.prefix, tenantId);
  const ids = await readableOrNull(db, () =>
    fetched(keys.index('endpoints'), db.redis.zrange(keys.index('endpoints'), 0, '-1')),
  );
  return Promise.all([
    tried(db, 'webhook_secret', tenantId, null, () => resealSigningSecrets(db, sealer, tenantId)),
    ...(ids ?? []).map((id) =>
      tried(db, 'webhook_endpoint', tenantId, id, () => resealEndpoint(db, sealer, tenantId, id)),
    ),
  ]);
}

async function resealSigningSecrets(db: Db, sealer: Sealer, tenantId: string): Promise<boolean> {
  return updateWithRetry('org', async () => {
    const org = await loadOrg(db, orgOf(tenantId));
    if (org === null) return false;
    const before = signingSecrets(org, tenantId);
    const place = webhookSecretContext(tenantId);
    const after = before.map((one) => ({ ...one, sealed: sealer.renew(one.sealed, place) }));
    if (after.every((one, index) => one.sealed === before[index]?.sealed)) return false;
    const changed = { ...withSigningSecrets(org, tenantId, after), version: org.version + 1 };
    if (await commit(db.redis, orgWrites(db, org.version, changed))) return true;
    return CONFLICT;
  });
}

async function resealEndpoint(db: Db, sealer: Sealer, org_id: string, endpoint_id: string): Promise<boolean> {
  return updateWithRetry('webhook endpoint', async () => {
    const before = await loadEndpoint(db, org_id, endpoint_id);
    if (before === null) return false;
    const renew = <T extends { sealed: string }>(one: T): T => ({
      ...one,
      sealed: sealer.renew(one.sealed, endpointContext(before)),
    });
    const sealed = { secrets: before.secrets.map(renew), headers: before.headers && renew(before.headers) };
    const after = { ...before, ...sealed, version: before.version + 1 };
    if (JSON.stringify({ ...after, version: before.version }) === JSON.stringify(before)) return false;
    if (await commit(db.redis, endpointWrites(db, before, after))) return true;
    return CONFLICT;
  });
}

function resealTask(db: Db, sealer: Sealer, tenantId: string, taskId: string): Promise<boolean> {
  return replaceInput(db, tenantId, taskId, (input): TaskInput => {
    const { handoff } = input;
    if (handoff === undefined || handoff.callback_auth.type === 'none') return input;
    const { type, sealed: before } = handoff.callback_auth;
    const sealed = sealer.renew(before, callbackAuthContext(tenantId));
    return sealed === before ? input : { ...input, handoff: { ...handoff, callback_auth: { type, sealed } } };
  });
}
