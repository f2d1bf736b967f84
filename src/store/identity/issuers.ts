// External issuers: issuers whose tokens an org accepts, besides our own. A token names its org, by an audience that
// contains the org's id or by a claim, and is looked up only among the issuers of that org. So registrations of
// different orgs cannot conflict, and a token for one org is never accepted for another. Within an org each pair of
// issuer and audience is registered once.

import { hash } from 'node:crypto';
import { newAuditEvent } from '../../state/audit/audit.ts';
import type { Shape } from '../../state/text/forms.ts';
import { commitAudited } from '../audit/audit-log.ts';
import type { Change } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { listMember } from '../redis/lists.ts';
import { loadRecord, recordWrites } from '../redis/records.ts';

export const TOKEN_TYPES = ['at+jwt', 'JWT'] as const;

export interface Issuer {
  issuer_id: string;
  org_id: string;
  version: number;
  name: string;
  /** `iss` and `aud` claims of its tokens. */
  issuer: string;
  audience: string;
  jwks_uri: string;
  algorithms: string[];
  /** Required `typ` of its tokens: `at+jwt` (RFC 9068), or `JWT` for issuers that do not support it. */
  token_type: (typeof TOKEN_TYPES)[number];
  /** Name of the claim that grants scopes, and the scopes for each of its values. */
  scope_claim: string;
  scope_map: Record<string, string[]>;
  pools: string[];
  created_at: number;
  updated_at: number;
}

export const ISSUER_SHAPE: Shape<Issuer> = {
  issuer_id: 'string',
  org_id: 'string',
  version: 'number',
  issuer: 'string',
  audience: 'string',
  jwks_uri: 'string',
  algorithms: 'strings',
  token_type: 'string',
  scope_claim: 'string',
  scope_map: 'object',
  pools: 'strings',
  created_at: 'number',
  updated_at: 'number',
};

/** The audience of a registration that names none. */
export function ownAudience(orgId: string): string {
  return `urn:biolayer:org:${orgId}`;
}

/** Whether the org may register this audience: an audience in our own form only for the org that it names. */
export function mayClaimAudience(orgId: string, audience: string): boolean {
  return !audience.toLowerCase().startsWith('urn:biolayer:') || audience === ownAudience(orgId);
}

/** Loads an issuer; null when there is none. @throws UnreadableRecord */
export function loadIssuer(db: Db, orgId: string, issuerId: string): Promise<Issuer | null> {
  return loadRecord(db, orgKeysOf(db.prefix, orgId).issuer(issuerId), ISSUER_SHAPE);
}

/** The claim that names the org of a token whose audience does not. */
export const ORG_CLAIM = 'biolayer_org';

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi;

/** The ids in an audience that may be an org's, in lower case as ids are stored. */
export function orgsNamedBy(audience: string): string[] {
  return (audience.match(UUID) ?? []).map((id) => id.toLowerCase());
}

/** The org's registrations of this issuer with any of these audiences. */
export async function findIssuers(
  db: Db,
  orgId: string,
  issuer: string,
  audiences: readonly string[],
): Promise<Issuer[]> {
  if (audiences.length === 0) return [];
  const pairs = audiences.map((audience) => pairOf(issuer, audience));
  const ids = await db.redis.hmget(orgKeysOf(db.prefix, orgId).issuerPairs, ...pairs);
  const named = ids.filter((id) => id !== null);
  const found = await Promise.all(named.map((id) => loadIssuer(db, orgId, id)));
  return found.filter((one) => one !== null);
}

/**
 * Registers an issuer.
 * @param more guards and writes of the same commit.
 * @returns false when a guard fails, or when the org has registered this pair of issuer and audience already.
 */
export async function addIssuer(db: Db, record: Issuer, actor: string, more: Change): Promise<boolean> {
  const { org_id, issuer_id, issuer, audience, name, jwks_uri, scope_map, pools } = record;
  const keys = orgKeysOf(db.prefix, org_id);
  const { guards, writes } = recordWrites(keys.issuer(issuer_id), 0, record);
  const pair = pairOf(issuer, audience);
  const auditEvent = {
    ...newAuditEvent(actor, 'issuer.created', 'issuer', issuer_id),
    data: { name, issuer, audience, jwks_uri, scope_map, pools },
  };
  return commitAudited(db, org_id, auditEvent, {
    guards: [...guards, { kind: 'field', key: keys.issuerPairs, field: pair, value: null }, ...more.guards],
    writes: [
      ...writes,
      ['HSET', keys.issuerPairs, pair, issuer_id],
      ['ZADD', keys.index('issuers'), 0, listMember(record.created_at, issuer_id)],
      ...more.writes,
    ],
  });
}

/**
 * Removes a registration; from that commit on its tokens are rejected.
 * @param more guards and writes of the same commit.
 * @returns false when a guard fails, or when the registration has changed since it was loaded.
 */
export async function removeIssuer(db: Db, record: Issuer, actor: string, more: Change): Promise<boolean> {
  const { issuer_id, org_id, name, issuer, audience } = record;
  const keys = orgKeysOf(db.prefix, org_id);
  const key = keys.issuer(issuer_id);
  const auditEvent = {
    ...newAuditEvent(actor, 'issuer.removed', 'issuer', issuer_id),
    data: { name, issuer, audience },
  };
  return commitAudited(db, org_id, auditEvent, {
    guards: [{ kind: 'version', key, version: record.version }, ...more.guards],
    writes: [
      ['DEL', key],
      ['HDEL', keys.issuerPairs, pairOf(issuer, audience)],
      ['ZREM', keys.index('issuers'), listMember(record.created_at, issuer_id)],
      ...more.writes,
    ],
  });
}

function pairOf(issuer: string, audience: string): string {
  return hash('sha256', JSON.stringify([issuer, audience]), 'base64url');
}
