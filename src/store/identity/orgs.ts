// Orgs: the tenants. An org's record holds its name, where it may be called for from, and the secrets that
// sign its webhooks, sealed.

import { randomBytes } from 'node:crypto';
import type { QuotaName } from '../../state/access/storage-quotas.ts';
import { modeOf, tenantOf } from '../../state/access/tenant.ts';
import type { Quota } from '../../state/access/token-bucket.ts';
import type { Shape } from '../../state/text/forms.ts';
import { type Change, NO_CHANGE } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { PARTITIONS, partitionKeys, partitionOf, sharedKeysOf } from '../redis/keys.ts';
import { loadRecord, recordWrites } from '../redis/records.ts';
import { fetched, readableOrNull } from '../redis/unreadable.ts';

export interface SigningSecret {
  /** The `whsec_…` text, sealed for `webhookSecretContext(org_id)`. */
  sealed: string;
  created_at: number;
  /** While a rotation overlaps, when this one stops signing; null for the current one. */
  expires_at: number | null;
}

export interface Org {
  org_id: string;
  version: number;
  name: string;
  webhook_secrets: SigningSecret[];
  /** CIDRs that its credentials may be used from; none, or absent: anywhere. */
  ip_allowlist?: string[];
  /** How often each of its credentials, and all of it, may call; the defaults where null or absent. */
  rate_limits?: { key?: Quota | null; org?: Quota | null };
  /** How much of each kind it may keep; the defaults where null or absent. */
  quotas?: Partial<Record<QuotaName, number | null>>;
  /** Those of its sandbox; absent until the sandbox is opened. */
  sandbox_webhook_secrets?: SigningSecret[];
  created_at: number;
  updated_at: number;
}

/** A new `whsec_…` secret of 32 random bytes (Standard Webhooks). */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/** What a sealed webhook secret of the tenant is bound to. */
export function webhookSecretContext(orgId: string): string {
  return `${orgId} webhook-secret`;
}

/** What the sealed callback credentials of the tenant's tasks are bound to. */
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

/** The org with this id; of a sandbox, the org it belongs to. @throws UnreadableRecord */
export function loadOrg(db: Db, orgId: string): Promise<Org | null> {
  return loadRecord(db, sharedKeysOf(db.prefix, orgId).org, SHAPE);
}

/** The secrets that sign a tenant's webhooks, the current one first. */
export function signingSecrets(org: Org, tenantId: string): readonly SigningSecret[] {
  return modeOf(tenantId) === 'test' ? (org.sandbox_webhook_secrets ?? []) : org.webhook_secrets;
}

/** The org with these secrets for a tenant of its. */
export function withSigningSecrets(org: Org, tenantId: string, secrets: SigningSecret[]): Org {
  return modeOf(tenantId) === 'test'
    ? { ...org, sandbox_webhook_secrets: secrets }
    : { ...org, webhook_secrets: secrets };
}

/** Guards and writes that put the org in place of its `before` version (0: it is new). */
export function orgWrites(db: Db, before: number, org: Org): Change {
  const { orgs } = partitionKeys(db.prefix, partitionOf(org.org_id));
  const { guards, writes } = recordWrites(sharedKeysOf(db.prefix, org.org_id).org, before, org);
  return { guards, writes: before === 0 ? [...writes, ['SADD', orgs, org.org_id]] : writes };
}

/**
 * Guards and writes that open the sandbox of an org, so that it signs its webhooks and is looked after; none
 * when it is open. A sandbox is opened with its first key: most orgs of a big installation never have one.
 */
export function sandboxWrites(db: Db, org: Org, secret: SigningSecret): Change {
  if (org.sandbox_webhook_secrets !== undefined) return NO_CHANGE;
  const { orgs } = partitionKeys(db.prefix, partitionOf(org.org_id));
  const opened = { ...org, version: org.version + 1, sandbox_webhook_secrets: [secret] };
  const { guards, writes } = orgWrites(db, org.version, opened);
  return { guards, writes: [...writes, ['SADD', orgs, tenantOf(org.org_id, 'test')]] };
}

/** Ids of all orgs and of all sandboxes, but of partitions whose list is damaged, which is reported. */
export async function allTenants(db: Db): Promise<string[]> {
  const lists = await Promise.all(
    PARTITIONS.map((partition) => {
      const { orgs } = partitionKeys(db.prefix, partition);
      return readableOrNull(db, () => fetched(orgs, db.redis.smembers(orgs)));
    }),
  );
  return lists.flatMap((list) => list ?? []);
}
