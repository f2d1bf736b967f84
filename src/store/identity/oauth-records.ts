// What the authorization server keeps: sessions, interactions, grants, codes and tokens. Their ids are secrets
// that open doors, so a record is found by the hash of its id and sealed for its place. What belongs to a grant
// has an id that says the org's partition and lies there; a session is of no org and lies by its hash.
// A token whose grant is gone is worth nothing, so the end of a grant is the end of all of them in one step.
// Sessions and grants are those of a password: they carry its version, and are void once the member has another.

import { commit, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf, partitionKeys, partitionOf } from '../redis/keys.ts';
import { loadRecord } from '../redis/records.ts';
import type { Sealer } from '../redis/sealing.ts';
import { hashOf, parseCredential } from './credential-text.ts';
import type { OAuthToken } from './credentials.ts';
import { loadMember, type Member, passwordVersion } from './members.ts';
import { CLIENT_SHAPE, type OAuthClient, orgOfClient } from './oauth-clients.ts';

/** What the authorization server gives to be kept. */
export interface OAuthRecord {
  uid?: string | undefined;
  clientId?: string | undefined;
  accountId?: string | undefined;
  grantId?: string | undefined;
  scope?: string | undefined;
  /** Of a session: the version of the password that was given (see `isCurrent`). */
  acr?: string | undefined;
  /** Of a grant: the same. */
  password_version?: string | undefined;
  [field: string]: unknown;
}

/** Access tokens lie among the other credentials, where each request looks. */
const CREDENTIALS = ['AccessToken', 'ClientCredentials'];

export class OAuthRecords {
  readonly #db: Db;
  readonly #sealer: Sealer;
  readonly #onEnded: (hash: string) => void;

  /** @param onEnded told the hash of the id of each record that is removed. */
  constructor(db: Db, sealer: Sealer, onEnded: (hash: string) => void) {
    this.#db = db;
    this.#sealer = sealer;
    this.#onEnded = onEnded;
  }

  /** Keeps a record for `seconds`. */
  async save(kind: string, id: string, record: OAuthRecord, seconds: number): Promise<void> {
    const life = Math.ceil(seconds * 1000);
    const place = placeOf(this.#db, kind, id);
    const sealed = this.#sealer.seal(JSON.stringify(record), place.name);
    if (CREDENTIALS.includes(kind)) {
      const token = this.#tokenOf(record, sealed, life);
      await this.#db.redis.set(place.key, JSON.stringify(token), 'PX', life);
      return;
    }
    if (record.uid !== undefined) {
      const index = placeOf(this.#db, 'uid', record.uid);
      await this.#db.redis.set(index.key, this.#sealer.seal(id, index.name), 'PX', life);
    }
    const writes: Write[] = [
      ['HSET', place.key, 'v', 1, 'd', sealed, 'p', record.password_version ?? ''],
      ['PEXPIRE', place.key, life],
    ];
    await commit(this.#db.redis, { guards: [], writes });
  }

  /** The record; undefined when there is none (any more), or when it was sealed with a key now forgotten. */
  async find(kind: string, id: string): Promise<OAuthRecord | undefined> {
    const place = placeOf(this.#db, kind, id);
    if (CREDENTIALS.includes(kind)) {
      const text = await this.#db.redis.get(place.key);
      const token = text === null ? null : (JSON.parse(text) as OAuthToken | { kind: 'other' });
      return token?.kind === 'oauth_token' ? this.#open(token.sealed, place.name) : undefined;
    }
    const { d: sealed, v: version, c: consumed } = await this.#db.redis.hgetall(place.key);
    const record = sealed === undefined ? undefined : this.#open(sealed, place.name);
    if (record !== undefined && !(await this.#isCurrent(kind, record))) return undefined;
    return record && version !== '1' ? { ...record, consumed: Number(consumed) } : record;
  }

  async findByUid(kind: string, uid: string): Promise<OAuthRecord | undefined> {
    const index = placeOf(this.#db, 'uid', uid);
    const sealed = await this.#db.redis.get(index.key);
    const id = sealed === null ? undefined : this.#plain(sealed, index.name);
    return id === undefined ? undefined : this.find(kind, id);
  }

  /** Marks a code or refresh token as used. @returns whether this was its first use, of all at the same time. */
  consume(kind: string, id: string): Promise<boolean> {
    const { key } = placeOf(this.#db, kind, id);
    const now = Math.floor(this.#db.clock.now() / 1000);
    return commit(this.#db.redis, {
      guards: [{ kind: 'version', key, version: 1 }],
      writes: [['HSET', key, 'v', 2, 'c', now]],
    });
  }

  async remove(kind: string, id: string): Promise<void> {
    await this.#db.redis.del(placeOf(this.#db, kind, id).key);
    this.#onEnded(hashOf(id));
  }

  /** Notes for `seconds` that something that is not kept here was used. @returns whether this was its first use. */
  async useOnce(kind: string, id: string, seconds: number): Promise<boolean> {
    const { key } = placeOf(this.#db, `${kind}Used`, id);
    return (await this.#db.redis.set(key, '1', 'EX', seconds, 'NX')) === 'OK';
  }

  /** Whether the password of a session or grant is still the member's. */
  async #isCurrent(kind: string, record: OAuthRecord): Promise<boolean> {
    if (kind !== 'Session' && kind !== 'Grant') return true;
    const subject = parseSubject(record.accountId ?? '');
    const member = subject && (await loadMember(this.#db, subject.org_id, subject.member_id));
    return member !== null && (record.password_version ?? record.acr ?? '1') === passwordVersion(member);
  }

  #open(sealed: string, place: string): OAuthRecord | undefined {
    const text = this.#plain(sealed, place);
    return text === undefined ? undefined : (JSON.parse(text) as OAuthRecord);
  }

  #plain(sealed: string, place: string): string | undefined {
    try {
      return this.#sealer.open(sealed, place);
    } catch {
      return undefined;
    }
  }

  #tokenOf(record: OAuthRecord, sealed: string, life: number): OAuthToken {
    const client_id = record.clientId ?? '';
    const org_id = orgOfClient(client_id);
    if (org_id === null) throw new Error('an access token of no client');
    return {
      kind: 'oauth_token',
      org_id,
      client_id,
      member_id: record.accountId === undefined ? null : (parseSubject(record.accountId)?.member_id ?? ''),
      scopes: record.scope?.split(' ') ?? [],
      grant: record.grantId === undefined ? null : hashOf(record.grantId),
      expires_at: this.#db.clock.now() + life,
      sealed,
    };
  }
}

/** The client and member an access token acts for, as they are now; null when one of them, or its grant, is gone. */
export async function loadTokenParties(
  db: Db,
  token: OAuthToken,
): Promise<{ client: OAuthClient; member: Member | null } | null> {
  const keys = orgKeysOf(db.prefix, token.org_id);
  const [client, member, [grant, version]] = await Promise.all([
    loadRecord(db, keys.oauthClient(token.client_id), CLIENT_SHAPE),
    token.member_id === null ? null : loadMember(db, token.org_id, token.member_id),
    db.redis.hmget(
      token.grant === null ? keys.oauthClient(token.client_id) : keys.oauth(`Grant:${token.grant}`),
      'v',
      'p',
    ),
  ]);
  if (client === null || grant == null) return null;
  if (token.member_id === null) return { client, member: null };
  if (member === null || member.disabled || (version || '1') !== passwordVersion(member)) return null;
  return { client, member };
}

/** A member as the subject of tokens. */
export function subjectOf(member: { org_id: string; member_id: string }): string {
  return `${member.org_id}.${member.member_id}`;
}

/** The member a subject names; null when it names none. */
export function parseSubject(subject: string): { org_id: string; member_id: string } | null {
  const [org_id = '', member_id = '', ...rest] = subject.split('.');
  return org_id === '' || member_id === '' || rest.length > 0 ? null : { org_id, member_id };
}

/** Where a record lies, and the name it is sealed for. */
function placeOf(db: Db, kind: string, id: string): { key: string; name: string } {
  const known = parseCredential(id);
  const hash = known?.hash ?? hashOf(id);
  const keys = partitionKeys(db.prefix, known?.partition ?? partitionOf(hash));
  const isCredential = CREDENTIALS.includes(kind);
  return {
    key: isCredential ? keys.credential(hash) : keys.oauth(`${kind}:${hash}`),
    name: `oauth ${kind} ${hash}`,
  };
}
