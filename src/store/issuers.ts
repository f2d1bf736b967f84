// Outside issuers: whose tokens an org takes for access to it, beside those we make. A token names the org by its
// issuer and audience together, and that pair is one org's alone: no token that is meant for one org can be read
// as meant for another, whatever else the two have in common.
//
// The pair is claimed under its hash, in another slot than the org's record, so not in one step with it: first the
// claim, then the record, then a look whether the claim is still ours. A claim without its record is void.

import { hash } from 'node:crypto';
import { did } from '../state/audit.ts';
import { commitAudited } from './audit.ts';
import { commit, type Guard, type Write } from './commit.ts';
import { orgKeysOf, partitionKeys, partitionOf } from './keys.ts';
import { listMember } from './lists.ts';
import { loadRecord, recordWrites } from './records.ts';
import type { Db } from './redis.ts';

export const TOKEN_TYPES = ['at+jwt', 'JWT'] as const;

export interface Issuer {
  issuer_id: string;
  org_id: string;
  version: number;
  name: string;
  /** `iss` and `aud` of its tokens. */
  issuer: string;
  audience: string;
  jwks_uri: string;
  algorithms: string[];
  /** `typ` that its tokens must have: `at+jwt` (RFC 9068), or `JWT` for those that know no better. */
  token_type: (typeof TOKEN_TYPES)[number];
  /** Name of the claim, and what each of its values allows. */
  scope_claim: string;
  scope_map: Record<string, string[]>;
  pools: string[];
  created_at: number;
  updated_at: number;
}

/** The audience that is an org's without being claimed. */
export function ownAudience(orgId: string): string {
  return `urn:biolayer:org:${orgId}`;
}

/** Whether the org may register this audience: those of ours belong to the org they name. */
export function mayClaimAudience(orgId: string, audience: string): boolean {
  return !audience.toLowerCase().startsWith('urn:biolayer:') || audience === ownAudience(orgId);
}

export function loadIssuer(db: Db, orgId: string, issuerId: string): Promise<Issuer | null> {
  return loadRecord<Issuer>(db, orgKeysOf(db.prefix, orgId).issuer(issuerId));
}

/** The registration for tokens of this issuer and audience; null when no org has one. */
export async function findIssuer(db: Db, issuer: string, audience: string): Promise<Issuer | null> {
  const claim = await db.redis.get(claimKey(db, issuer, audience));
  return claim === null ? null : holder(db, claim, issuer, audience);
}

/** Registers an issuer. @returns false when its pair is registered already, by whomever. */
export async function addIssuer(
  db: Db,
  record: Issuer,
  actor: string,
  kept: { guards: Guard[]; writes: Write[] },
): Promise<boolean> {
  const { org_id, issuer_id, issuer, audience } = record;
  const key = claimKey(db, issuer, audience);
  const claim = `${org_id} ${issuer_id}`;
  const there = await db.redis.get(key);
  if (there !== null && (await holder(db, there, issuer, audience)) !== null) return false;
  const free: Guard = there === null ? { kind: 'absent', key } : { kind: 'value', key, value: there };
  if (!(await commit(db.redis, [free], [['SET', key, claim]]))) return false;
  const keys = orgKeysOf(db.prefix, org_id);
  const { guards, writes } = recordWrites(keys.issuer(issuer_id), 0, record);
  const listed: Write = ['ZADD', keys.index('issuers'), 0, listMember(record.created_at, issuer_id)];
  const { name, jwks_uri, scope_map, pools } = record;
  const fact = {
    ...did(actor, 'issuer.created', 'issuer', issuer_id),
    data: { name, issuer, audience, jwks_uri, scope_map, pools },
  };
  const whole = { guards: [...guards, ...kept.guards], writes: [...writes, listed, ...kept.writes] };
  const isThere = await commitAudited(db, org_id, fact, whole);
  if (isThere && (await db.redis.get(key)) === claim) return true;
  await removeIssuer(db, record, actor);
  return false;
}

/** Takes a registration away: from the first step on none of its tokens is taken. @returns false when it had changed. */
export async function removeIssuer(db: Db, record: Issuer, actor: string): Promise<boolean> {
  const keys = orgKeysOf(db.prefix, record.org_id);
  const key = keys.issuer(record.issuer_id);
  const { issuer_id, org_id, name, issuer, audience } = record;
  const fact = { ...did(actor, 'issuer.removed', 'issuer', issuer_id), data: { name, issuer, audience } };
  const isGone = await commitAudited(db, org_id, fact, {
    guards: [{ kind: 'version', key, version: record.version }],
    writes: [
      ['DEL', key],
      ['ZREM', keys.index('issuers'), listMember(record.created_at, issuer_id)],
    ],
  });
  const claim = claimKey(db, record.issuer, record.audience);
  const value = `${record.org_id} ${record.issuer_id}`;
  await commit(db.redis, [{ kind: 'value', key: claim, value }], [['DEL', claim]]);
  return isGone;
}

async function holder(db: Db, claim: string, issuer: string, audience: string): Promise<Issuer | null> {
  const [orgId = '', issuerId = ''] = claim.split(' ');
  const record = await loadIssuer(db, orgId, issuerId);
  return record?.issuer === issuer && record.audience === audience ? record : null;
}

function claimKey(db: Db, issuer: string, audience: string): string {
  const digest = hash('sha256', JSON.stringify([issuer, audience]), 'hex');
  return partitionKeys(db.prefix, partitionOf(digest)).oauth(`Issuer:${digest}`);
}
