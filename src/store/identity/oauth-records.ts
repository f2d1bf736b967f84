// Records of the authorization server: sessions, interactions, grants, codes and tokens. Their ids are secrets, so a
// record is stored under the hash of its id and sealed. The id of a grant and of its codes and tokens names the org's
// partition, where they are stored; a session belongs to no org and is stored by its hash. A token without its grant is
// invalid, so removing the grant ends all of its tokens at once. Sessions and grants hold the version of the member's
// password and are invalid after it has changed.

import { readJsonShape } from '../../state/text/forms.ts';
import { commit, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf, partitionKeys, partitionOf } from '../redis/keys.ts';
import { loadRecord } from '../redis/records.ts';
import type { Sealer } from '../redis/sealing.ts';
import { required } from '../redis/unreadable.ts';
import { hashOf, parseCredential } from './credential-text.ts';
import { type OAuthToken, readCredential } from './credentials.ts';
import { loadMember, type Member, passwordVersion } from './members.ts';
import { CLIENT_SHAPE, type OAuthClient, orgOfClient } from './oauth-clients.ts';

/** A record as the authorization server (oidc-provider) stores and loads it. */
export interface OAuthRecord {
  uid?: string | undefined;
  clientId?: string | undefined;
  accountId?: string | undefined;
  grantId?: string | undefined;
  scope?: string | undefined;
  /** Of a session: the version of the password that the member signed in with. */
  acr?: string | undefined;
  /** Of a grant: the version of the member's password when it was given. */
  password_version?: string | undefined;
  [field: string]: unknown;
}

/** Kinds that are stored with the other credentials, where each request looks them up. */
const CREDENTIALS = ['AccessToken', 'ClientCredentials'];

export class OAuthRecords {
  readonly #db: Db;
  readonly #sealer: Sealer;
  readonly #onEnded: (hash: string) => void;

  /** @param onEnded called with the hash of the id of each removed record. */
  constructor(db: Db, sealer: Sealer, onEnded: (hash: string) => void) {
    this.#db = db;
    this.#sealer = sealer;
    this.#onEnded = onEnded;
  }

  /** Stores a record for `seconds`. */
  async save(kind: string, id: string, record: OAuthRecord, seconds: number): Promise<void> {
    const life = Math.ceil(seconds * 1000);
    const location = locationOf(this.#db, kind, id);
    const sealed = this.#sealer.seal(JSON.stringify(record), location.context);
    if (CREDENTIALS.includes(kind)) {
      const token = this.#tokenOf(record, sealed, life);
      await this.#db.redis.set(location.key, JSON.stringify(token), 'PX', life);
      return;
    }
    if (record.uid !== undefined) {
      const index = locationOf(this.#db, 'uid', record.uid);
      await this.#db.redis.set(index.key, this.#sealer.seal(id, index.context), 'PX', life);
    }
    const writes: Write[] = [
      ['HSET', location.key, 'v', 1, 'd', sealed, 'p', record.password_version ?? ''],
      ['PEXPIRE', location.key, life],
    ];
    await commit(this.#db.redis, { guards: [], writes });
  }

  /**
   * Loads a record; undefined when there is none, when the password has changed, or when it cannot be opened because its
   * key is not configured. @throws UnreadableRecord
   */
  async find(kind: string, id: string): Promise<OAuthRecord | undefined> {
    const location = locationOf(this.#db, kind, id);
    if (CREDENTIALS.includes(kind)) {
      const text = await this.#db.redis.get(location.key);
      const token = text === null ? null : required(location.key, readCredential(text));
      return token?.kind === 'oauth_token' ? this.#open(token.sealed, location) : undefined;
    }
    const { d: sealed, v: version, c: consumed } = await this.#db.redis.hgetall(location.key);
    const record = sealed === undefined ? undefined : this.#open(sealed, location);
    if (record !== undefined && !(await this.#isCurrent(kind, record))) return undefined;
    return record && version !== '1' ? { ...record, consumed: Number(consumed) } : record;
  }

  /** Loads a record by its `uid`; as `find`. */
  async findByUid(kind: string, uid: string): Promise<OAuthRecord | undefined> {
    const index = locationOf(this.#db, 'uid', uid);
    const sealed = await this.#db.redis.get(index.key);
    const id = sealed === null ? undefined : this.#plain(sealed, index.context);
    return id === undefined ? undefined : this.find(kind, id);
  }

  /** Marks a code or refresh token as used. @returns true for exactly one caller, its first use. */
  consume(kind: string, id: string): Promise<boolean> {
    const { key } = locationOf(this.#db, kind, id);
    const now = Math.floor(this.#db.clock.now() / 1000);
    return commit(this.#db.redis, {
      guards: [{ kind: 'version', key, version: 1 }],
      writes: [['HSET', key, 'v', 2, 'c', now]],
    });
  }

  /** Removes a record, if there is one. */
  async remove(kind: string, id: string): Promise<void> {
    await this.#db.redis.del(locationOf(this.#db, kind, id).key);
    this.#onEnded(hashOf(id));
  }

  /** Removes a record by its `uid`, if there is one. */
  async removeByUid(kind: string, uid: string): Promise<void> {
    const index = locationOf(this.#db, 'uid', uid);
    const sealed = await this.#db.redis.get(index.key);
    const id = sealed === null ? undefined : this.#plain(sealed, index.context);
    if (id !== undefined) await this.remove(kind, id);
  }

  /** Records for `seconds` that an id without a record, such as a `jti`, was used. @returns whether this was its first use. */
  async useOnce(kind: string, id: string, seconds: number): Promise<boolean> {
    const { key } = locationOf(this.#db, `${kind}Used`, id);
    return (await this.#db.redis.set(key, '1', 'EX', seconds, 'NX')) === 'OK';
  }

  /** Whether the password of a session or grant is still the member's. */
  async #isCurrent(kind: string, record: OAuthRecord): Promise<boolean> {
    if (kind !== 'Session' && kind !== 'Grant') return true;
    // Nobody has signed in yet.
    if (record.accountId === undefined) return false;
    const subject = parseSubject(record.accountId);
    const member = subject && (await loadMember(this.#db, subject.org_id, subject.member_id));
    return member !== null && (record.password_version ?? record.acr ?? '1') === passwordVersion(member);
  }

  #open(sealed: string, { key, context }: Location): OAuthRecord | undefined {
    const text = this.#plain(sealed, context);
    return text === undefined ? undefined : required(key, readJsonShape<OAuthRecord>(text, {}));
  }

  #plain(sealed: string, context: string): string | undefined {
    try {
      return this.#sealer.open(sealed, context);
    } catch {
      return undefined;
    }
  }

  #tokenOf(record: OAuthRecord, sealed: string, life: number): OAuthToken {
    const { clientId: client_id, accountId } = record;
    const org_id = client_id === undefined ? null : orgOfClient(client_id);
    if (client_id === undefined || org_id === null) throw new Error('the access token names no client');
    const member = accountId === undefined ? null : parseSubject(accountId);
    if (accountId !== undefined && member === null) throw new Error('the access token names no member');
    return {
      kind: 'oauth_token',
      org_id,
      client_id,
      member_id: member?.member_id ?? null,
      scopes: record.scope?.split(' ') ?? [],
      grant: record.grantId === undefined ? null : hashOf(record.grantId),
      expires_at: this.#db.clock.now() + life,
      sealed,
    };
  }
}

/**
 * The current client and member of an access token; null when the token is invalid because its client, member or grant
 * was removed, the member is disabled or the password has changed. @throws UnreadableRecord
 */
export async function loadTokenParties(
  db: Db,
  token: Pick<OAuthToken, 'org_id' | 'client_id' | 'member_id' | 'grant'>,
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

/** The `sub` claim of tokens for a member. */
export function subjectOf(member: { org_id: string; member_id: string }): string {
  return `${member.org_id}.${member.member_id}`;
}

/** Parses a `sub` claim from `subjectOf`; null when it is malformed. */
export function parseSubject(subject: string): { org_id: string; member_id: string } | null {
  const [org_id = '', member_id = '', ...rest] = subject.split('.');
  return org_id === '' || member_id === '' || rest.length > 0 ? null : { org_id, member_id };
}

interface Location {
  key: string;
  /** AAD context of the sealed record. */
  context: string;
}

function locationOf(db: Db, kind: string, id: string): Location {
  const known = parseCredential(id);
  const hash = known?.hash ?? hashOf(id);
  const keys = partitionKeys(db.prefix, known?.partition ?? partitionOf(hash));
  const isCredential = CREDENTIALS.includes(kind);
  return {
    key: isCredential ? keys.credential(hash) : keys.oauth(`${kind}:${hash}`),
    context: `oauth ${kind} ${hash}`,
  };
}
