// Members: users of an org who may sign in and authorize a client to act for them. The address is unique within the
// org. The permissions in the record limit every token that a client holds for the member, with effect from each change.

import { hash } from 'node:crypto';
import type { Shape } from '../../state/text/forms.ts';
import { type Change, EMPTY_CHANGE } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { listMember } from '../redis/lists.ts';
import { loadRecord, recordWrites } from '../redis/records.ts';

export interface Member {
  member_id: string;
  org_id: string;
  version: number;
  /** In the form of `normalEmail`. */
  email: string;
  name: string;
  /** See `store/identity/passwords.ts`. */
  password_hash: string;
  /** Incremented with each new password; absent: 1. Sessions and grants of earlier versions are invalid. */
  password_version?: number;
  /** The role that the scopes were given by; absent: none. */
  role?: 'owner' | 'manager' | 'reviewer' | 'viewer' | undefined;
  scopes: string[];
  /** `["*"]`, or the pools that the member is restricted to. */
  pools: string[];
  disabled: boolean;
  created_at: number;
  updated_at: number;
}

export const MEMBER_SHAPE: Shape<Member> = {
  member_id: 'string',
  org_id: 'string',
  version: 'number',
  email: 'string',
  password_hash: 'string',
  scopes: 'strings',
  pools: 'strings',
  disabled: 'boolean',
  created_at: 'number',
  updated_at: 'number',
};

/** The version of the member's password, as sessions and grants carry it. */
export function passwordVersion({ password_version = 1 }: Pick<Member, 'password_version'>): string {
  return String(password_version);
}

/** The form in which addresses are stored and compared. */
export function normalEmail(email: string): string {
  return email.trim().normalize('NFC').toLowerCase();
}

/** SHA-256 of an address, for keys. */
export function emailHash(email: string): string {
  return hash('sha256', normalEmail(email), 'hex');
}

/** Loads a member; null when there is none. @throws UnreadableRecord */
export function loadMember(db: Db, orgId: string, memberId: string): Promise<Member | null> {
  return loadRecord(db, orgKeysOf(db.prefix, orgId).member(memberId), MEMBER_SHAPE);
}

/** The member with this address; null when there is none. @throws UnreadableRecord */
export async function findMember(db: Db, orgId: string, email: string): Promise<Member | null> {
  const id = await db.redis.get(orgKeysOf(db.prefix, orgId).memberEmail(emailHash(email)));
  return id === null ? null : loadMember(db, orgId, id);
}

/**
 * Guards and writes that create (`before` null), change or remove (`after` null) a member. The guards fail when the
 * record has changed since it was loaded, or when another member has the address.
 */
export function memberWrites(db: Db, before: Member | null, after: Member | null): Change {
  const member = after ?? before;
  if (member === null) return EMPTY_CHANGE;
  const keys = orgKeysOf(db.prefix, member.org_id);
  const key = keys.member(member.member_id);
  const listed = listMember(member.created_at, member.member_id);
  const old = before === null ? null : keys.memberEmail(emailHash(before.email));
  if (after === null)
    return {
      guards: [{ kind: 'version', key, version: member.version }],
      writes: [
        ['DEL', key],
        ...(old === null ? [] : [['DEL', old] as const]),
        ['ZREM', keys.index('members'), listed],
      ],
    };
  const record = recordWrites(key, before?.version ?? 0, after);
  const guards = [...record.guards];
  const writes = [...record.writes];
  const fresh = keys.memberEmail(emailHash(after.email));
  if (fresh !== old) {
    guards.push({ kind: 'absent', key: fresh });
    if (old !== null) writes.push(['DEL', old]);
    writes.push(['SET', fresh, after.member_id]);
  }
  if (before === null) writes.push(['ZADD', keys.index('members'), 0, listed]);
  return { guards, writes };
}
