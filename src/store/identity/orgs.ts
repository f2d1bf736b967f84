// Orgs: the customers of an installation. The record holds the name, the limits, the networks that its credentials may
// be used from, and the sealed secrets that sign its webhooks.

import { randomBytes } from 'node:crypto';
import type { QuotaName } from '../../state/access/storage-quotas.ts';
import { modeOf, tenantOf } from '../../state/access/tenant.ts';
import type { Quota } from '../../state/access/token-bucket.ts';
import type { Shape } from '../../state/text/forms.ts';
import { type Change, EMPTY_CHANGE } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { PARTITIONS, partitionKeys, partitionOf, sharedKeysOf } from '../redis/keys.ts';
import { partitionsWith } from '../redis/partition-counts.ts';
import { loadRecord, loadRecords, recordWrites } from '../redis/records.ts';
import { fetched, nullIfUnreadable } from '../redis/unreadable.ts';

export interface SigningSecret {
  /** The `whsec_…` text, sealed with the AAD context `webhookSecretContext(org_id)`. */
  sealed: string;
  created_at: number;
  /** During a rotation, when this secret stops signing, ms; null for the current one. */
  expires_at: number | null;
}

export interface Org {
  org_id: string;
  version: number;
  name: string;
  webhook_secrets: SigningSecret[];
  /** CIDR ranges that its credentials may be used from; empty or absent: anywhere. */
  ip_allowlist?: string[];
  /** Rate limits of each credential and of the whole org; null or absent: the defaults. */
  rate_limits?: { key?: Quota | null; org?: Quota | null };
  /** Storage quotas; null or absent: the defaults. */
  quotas?: Partial<Record<QuotaName, number | null>>;
  /** Signing secrets of its sandbox; absent until the sandbox is opened. */
  sandbox_webhook_secrets?: SigningSecret[];
  /** Since when each tenant has task types, ms; absent: it never had any. */
  task_types_since?: Partial<Record<'live' | 'test', number>>;
  /** Present while the operator has suspended the org; `at` in ms. */
  suspension?: { at: number; reason: string | null };
  created_at: number;
  updated_at: number;
}

/** A new `whsec_…` secret of 32 random bytes (Standard Webhooks). */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/** AAD context of the tenant's sealed webhook secrets. */
export function webhookSecretContext(orgId: string): string {
  return `${orgId} webhook-secret`;
}

/** AAD context of the sealed callback credentials of the tenant's tasks. */
export function callbackAuthContext(orgId: string): string {
  return `${orgId} callback-auth`;
}

const SHAPE: Shape<Org> = {
  org_id: 'string',
  version: 'number',
  name: 'string',
  webhook_secrets: 'list',
  created_at: 'number',
  updated_at: 'number',
};

/** Loads an org by its own id or the id of its sandbox; null when there is none. @throws UnreadableRecord */
export function loadOrg(db: Db, orgId: string): Promise<Org | null> {
  return loadRecord(db, sharedKeysOf(db.prefix, orgId).org, SHAPE);
}

/** The secrets that sign a tenant's webhooks, the current one first. */
export function signingSecrets(org: Org, tenantId: string): readonly SigningSecret[] {
  return modeOf(tenantId) === 'test' ? (org.sandbox_webhook_secrets ?? []) : org.webhook_secrets;
}

/** The org with these signing secrets for one of its tenants. */
export function withSigningSecrets(org: Org, tenantId: string, secrets: SigningSecret[]): Org {
  return modeOf(tenantId) === 'test'
    ? { ...org, sandbox_webhook_secrets: secrets }
    : { ...org, webhook_secrets: secrets };
}

/** Guards and writes that store the org. @param before its stored version; 0: it is new. */
export function orgWrites(db: Db, before: number, org: Org): Change {
  const { orgs, orgList } = partitionKeys(db.prefix, partitionOf(org.org_id));
  const { guards, writes } = recordWrites(sharedKeysOf(db.prefix, org.org_id).org, before, org);
  if (before > 0) return { guards, writes };
  return { guards, writes: [...writes, ['SADD', orgs, org.org_id], ['ZADD', orgList, 0, org.org_id]] };
}

/**
 * Guards and writes that open the sandbox of an org: it gets a signing secret and is listed with the tenants. Empty when
 * it is open. A sandbox is opened with its first key, because most orgs never use theirs.
 */
export function sandboxWrites(db: Db, org: Org, secret: SigningSecret): Change {
  if (org.sandbox_webhook_secrets !== undefined) return EMPTY_CHANGE;
  const { orgs } = partitionKeys(db.prefix, partitionOf(org.org_id));
  const opened = { ...org, version: org.version + 1, sandbox_webhook_secrets: [secret] };
  const { guards, writes } = orgWrites(db, org.version, opened);
  return { guards, writes: [...writes, ['SADD', orgs, tenantOf(org.org_id, 'test')]] };
}

/** The sorted sets that list all orgs, whose ids sort by creation. */
export function orgLists(db: Db): string[] {
  return PARTITIONS.map((partition) => partitionKeys(db.prefix, partition).orgList);
}

/** Loads orgs in one round trip, in the order of `ids`; null for one that does not exist or cannot be read. */
export function loadOrgs(db: Db, ids: readonly string[]): Promise<(Org | null)[]> {
  return loadRecords(
    db,
    ids.map((id) => sharedKeysOf(db.prefix, id).org),
    SHAPE,
  );
}

/** Adds the orgs to the lists that earlier releases, which had no such lists, have created. Repeatable. */
export async function completeOrgLists(db: Db): Promise<void> {
  const ids = (await allTenants(db)).filter((id) => modeOf(id) === 'live');
  await Promise.all(
    ids.map((id) => db.redis.zadd(partitionKeys(db.prefix, partitionOf(id)).orgList, 'NX', 0, id)),
  );
}

/** Since when the tenant has task types, ms; null when it never had any. @throws UnreadableRecord */
export async function taskTypesSince(db: Db, tenantId: string): Promise<number | null> {
  return (await loadOrg(db, tenantId))?.task_types_since?.[modeOf(tenantId)] ?? null;
}

/** Guards and writes that record that the tenant has task types; empty when that is recorded. */
export async function taskTypesWrites(db: Db, tenantId: string, now: number): Promise<Change> {
  const org = await loadOrg(db, tenantId);
  const mode = modeOf(tenantId);
  if (org === null || org.task_types_since?.[mode] !== undefined) return EMPTY_CHANGE;
  const task_types_since = { ...org.task_types_since, [mode]: now };
  return orgWrites(db, org.version, { ...org, version: org.version + 1, task_types_since });
}

/** Ids of all orgs and open sandboxes. A partition whose list is damaged is left out and reported. */
export async function allTenants(db: Db): Promise<string[]> {
  const inhabited = await partitionsWith(db, ({ orgs }) => [['SCARD', orgs]]);
  const lists = await Promise.all(
    inhabited.map((partition) => {
      const { orgs } = partitionKeys(db.prefix, partition);
      return nullIfUnreadable(db, () => fetched(orgs, db.redis.smembers(orgs)));
    }),
  );
  return lists.flatMap((list) => list ?? []);
}
