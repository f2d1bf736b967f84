// A new org, with its record, first signing secret and first API key; and the opening of its sandbox.

import { randomInt } from 'node:crypto';
import { modeOf, orgOf } from '../../state/access/tenant.ts';
import { type AuditEvent, newAuditEvent } from '../../state/audit/audit.ts';
import { type Change, merge } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { newId, newNumberedId } from '../redis/ids.ts';
import { HASHED_PARTITIONS } from '../redis/keys.ts';
import type { Sealer } from '../redis/sealing.ts';
import { apiKeyWrites, newApiKey } from './api-keys.ts';
import {
  loadOrg,
  newWebhookSecret,
  type Org,
  orgWrites,
  sandboxWrites,
  webhookSecretContext,
} from './orgs.ts';

export interface NewOrg {
  name: string;
  /** Who creates it. */
  actor: string;
  rateLimits?: Org['rate_limits'];
  /** How many partitions all processes know; it is put into one of these. */
  partitions: number;
}

/** A new org with its signing secret and an unlimited API key: guards and writes, and the audit event. */
export function newOrg(db: Db, sealer: Sealer, { name, actor, rateLimits, partitions }: NewOrg) {
  const now = db.clock.now();
  // Processes of earlier releases find orgs by a hash of their id alone.
  const orgId = partitions > HASHED_PARTITIONS ? newNumberedId(now, randomInt(partitions)) : newId(now);
  const org: Org = {
    org_id: orgId,
    version: 1,
    name,
    webhook_secrets: [newSecret(db, sealer, orgId)],
    ...(rateLimits !== undefined && { rate_limits: rateLimits }),
    created_at: now,
    updated_at: now,
  };
  const { key, text } = newApiKey(
    orgId,
    { name: 'first key', scopes: ['*'], pools: ['*'], expires_at: null },
    now,
  );
  const ofOrg = orgWrites(db, 0, org);
  const ofKey = apiKeyWrites(db, key);
  return {
    org,
    apiKey: text,
    auditEvent: {
      ...newAuditEvent(actor, 'org.created', 'org', orgId),
      data: { name, key_id: key.key_id, scopes: key.scopes },
    } satisfies AuditEvent,
    change: { guards: [...ofOrg.guards, ...ofKey.guards], writes: [...ofOrg.writes, ...ofKey.writes] },
  };
}

/** A new sealed signing secret for webhooks of a tenant. */
export function newSecret(db: Db, sealer: Sealer, orgId: string) {
  return {
    sealed: sealer.seal(newWebhookSecret(), webhookSecretContext(orgId)),
    created_at: db.clock.now(),
    expires_at: null,
  };
}

/** What opens the sandbox of an org when its first key is created; nothing for a live tenant or when it is open. */
export async function openSandbox(db: Db, sealer: Sealer, tenantId: string): Promise<Change> {
  if (modeOf(tenantId) === 'live') return merge();
  const org = await loadOrg(db, tenantId);
  if (org === null) throw new Error(`org ${orgOf(tenantId)} is missing`);
  return sandboxWrites(db, org, newSecret(db, sealer, tenantId));
}
