// Orgs: the tenants. An org's record holds its name, where it may be called for from, and the secrets that
// sign its webhooks, sealed.

import { randomBytes } from 'node:crypto';
import type { Quota } from '../state/quota.ts';
import type { Guard, Write } from './commit.ts';
import { orgKeysOf, PARTITIONS, partitionKeys } from './keys.ts';
import { loadRecord, recordWrites } from './records.ts';
import type { Db } from './redis.ts';

export interface SigningSecret {
  /** The `whsec_…` text, sealed for `webhookSecretPlace(org_id)`. */
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
  created_at: number;
  updated_at: number;
}

/** A new `whsec_…` secret of 32 random bytes (Standard Webhooks). */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/** What a sealed webhook secret of the org is bound to. */
export function webhookSecretPlace(orgId: string): string {
  return `${orgId} webhook-secret`;
}

/** What the sealed callback credentials of the org's tasks are bound to. */
export function callbackAuthPlace(orgId: string): string {
  return `${orgId} callback-auth`;
}

export function loadOrg(db: Db, orgId: string): Promise<Org | null> {
  return loadRecord<Org>(db, orgKeysOf(db.prefix, orgId).org);
}

/** Guards and writes that put the org in place of its `before` version (0: it is new). */
export function orgWrites(db: Db, before: number, org: Org): { guards: Guard[]; writes: Write[] } {
  const keys = orgKeysOf(db.prefix, org.org_id);
  const { guards, writes } = recordWrites(keys.org, before, org);
  return { guards, writes: before === 0 ? [...writes, ['SADD', keys.orgs, org.org_id]] : writes };
}

/** Ids of all orgs. */
export async function allOrgs(db: Db): Promise<string[]> {
  const lists = await Promise.all(
    PARTITIONS.map((partition) => db.redis.smembers(partitionKeys(db.prefix, partition).orgs)),
  );
  return lists.flat();
}
