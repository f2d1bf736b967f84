// Reseals secrets after SECRETS_KEY has changed, so that the earlier key can be removed. Walks all orgs and tasks in small
// steps. An interrupted walk continues or starts again: secrets that are resealed already are skipped. Short-lived records
// are not resealed.

import { orgOf } from '../../state/access/tenant.ts';
import type { TaskInput } from '../../state/tasks/task.ts';
import { resealArchiveKey } from '../archive/archive-key.ts';
import { resealAuditKeys } from '../audit/signing-keys.ts';
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
import { channelContext, channelsWrites, loadChannels } from '../notices/channels.ts';
import { resealVapidKeys } from '../notices/vapid-keys.ts';
import { commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, ContendedError, updateWithRetry } from '../redis/contention.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { type Sealer, UnopenableError } from '../redis/sealing.ts';
import { concernsOneItem, fetched, nullIfUnreadable, reportFailed } from '../redis/unreadable.ts';
import { replaceInput } from '../tasks/replace-input.ts';
import { endpointContext, endpointWrites, loadEndpoint } from '../webhooks/endpoints.ts';
import { retireSealingKeys } from './sealing-keys.ts';

/** Tasks and orgs examined in one step. */
const STEP = 500;
/** Tasks resealed concurrently. */
const CONCURRENCY = 100;

/** Result of one step. */
export interface Resealed {
  /** Number of resealed records. */
  resealed: number;
  /** Records that no configured key opens. */
  lost: Lost[];
  /** Where the next step starts; null at the end. */
  next: string | null;
}

/** Kinds of records with long-lived secrets. */
export const SEALED_KINDS = [
  'audit_signing_key',
  'oauth_settings',
  'vapid_keys',
  'webhook_secret',
  'webhook_endpoint',
  'notification_channels',
  'archive_key',
  'task',
] as const;

/** A record whose secrets cannot be opened. */
export interface Lost {
  kind: (typeof SEALED_KINDS)[number];
  /** Id of its tenant; null for a record of the whole installation. */
  tenant: string | null;
  /** Id of the endpoint, worker or task; null for the other kinds. */
  id: string | null;
  /** Id of the key that sealed it; null when it names none. */
  key_id: string | null;
}

type Count = Omit<Resealed, 'next'>;
/** Result of one record: whether it was resealed, or that it is lost. */
type Outcome = boolean | Lost;

/** Runs one step of the walk. @param after `next` of the previous step; null at the beginning. */
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
        tryReseal(db, 'audit_signing_key', null, null, () => resealAuditKeys(db, sealer)),
        tryReseal(db, 'oauth_settings', null, null, () => resealOAuthSettings(db, sealer)),
        tryReseal(db, 'vapid_keys', null, null, () => resealVapidKeys(db, sealer)),
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
      const start = task === '' ? '-' : `(${task}`;
      const read = () => fetched(all, db.redis.zrangebylex(all, start, '+', 'LIMIT', 0, CONCURRENCY));
      const ids = (await nullIfUnreadable(db, read)) ?? [];
      add(
        await Promise.all(
          ids.map((id) => tryReseal(db, 'task', tenantId, id, () => resealTask(db, sealer, tenantId, id))),
        ),
      );
      left -= ids.length;
      task = ids.at(-1) ?? '';
      if (ids.length < CONCURRENCY) break;
    }
  }
  await retireSealingKeys(db, sealer);
  return { ...count, next: null };
}

async function tryReseal(
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
    if (!concernsOneItem(error) || error instanceof ContendedError) throw error;
    reportFailed(db, keyOf(db, kind, tenant, id), error);
    return { kind, tenant, id, key_id: null };
  }
}

/** Key of a record, for reports. */
function keyOf(db: Db, kind: Lost['kind'], tenant: string | null, id: string | null): string {
  if (tenant === null) return kind;
  const keys = orgKeysOf(db.prefix, tenant);
  if (kind === 'archive_key') return keys.archive;
  if (id === null) return keys.org;
  if (kind === 'task') return keys.task(id);
  return kind === 'notification_channels' ? keys.notificationChannels(id) : keys.endpoint(id);
}

async function resealOrg(db: Db, sealer: Sealer, tenantId: string): Promise<Outcome[]> {
  const keys = orgKeysOf(db.prefix, tenantId);
  const ids = await nullIfUnreadable(db, () =>
    fetched(keys.index('endpoints'), db.redis.zrange(keys.index('endpoints'), 0, '-1')),
  );
  const workers = await nullIfUnreadable(db, () =>
    fetched(keys.notifiedWorkers, db.redis.smembers(keys.notifiedWorkers)),
  );
  return Promise.all([
    tryReseal(db, 'webhook_secret', tenantId, null, () => resealSigningSecrets(db, sealer, tenantId)),
    tryReseal(db, 'archive_key', tenantId, null, () => resealArchiveKey(db, sealer, tenantId)),
    ...(ids ?? []).map((id) =>
      tryReseal(db, 'webhook_endpoint', tenantId, id, () => resealEndpoint(db, sealer, tenantId, id)),
    ),
    ...(workers ?? []).map((id) =>
      tryReseal(db, 'notification_channels', tenantId, id, () => resealChannels(db, sealer, tenantId, id)),
    ),
  ]);
}

async function resealSigningSecrets(db: Db, sealer: Sealer, tenantId: string): Promise<boolean> {
  return updateWithRetry('org', async () => {
    const org = await loadOrg(db, orgOf(tenantId));
    if (org === null) return false;
    const before = signingSecrets(org, tenantId);
    const context = webhookSecretContext(tenantId);
    const after = before.map((one) => ({ ...one, sealed: sealer.renew(one.sealed, context) }));
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

async function resealChannels(db: Db, sealer: Sealer, org_id: string, worker_id: string): Promise<boolean> {
  return updateWithRetry('notification channels', async () => {
    const before = await loadChannels(db, org_id, worker_id);
    const channels = before.channels.map((one) => {
      const renew = (sealed: string) => sealer.renew(sealed, channelContext(before, one.channel_id));
      const code = one.code && { ...one.code, sealed: renew(one.code.sealed) };
      return { ...one, code, sealed: one.sealed === null ? null : renew(one.sealed) };
    });
    if (JSON.stringify(channels) === JSON.stringify(before.channels)) return false;
    const after = { ...before, channels, version: before.version + 1 };
    return (await commit(db.redis, channelsWrites(db, before, after))) ? true : CONFLICT;
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
