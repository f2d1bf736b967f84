// Sessions of browsers in which a worker or a member has signed in, and the one-time links that sign in. Both are
// credentials: stored under the hash of their text, which expires. A sorted set for each worker and member lists the
// hashes, and only a listed one is valid, so removing the set ends all of them in one step.

import type { Change, Guard, Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { nullIfUnreadable, required } from '../redis/unreadable.ts';
import { readCredential, type StoredCredential } from './credentials.ts';
import {
  type MemberSession,
  ownerOf,
  type SessionOwner,
  type SignInLink,
  type WorkerSession,
} from './session-records.ts';

const HOUR = 60 * 60_000;
/** How long a worker or a member stays signed in, ms. */
export const SESSION_LIFE_MS = { worker: 14 * 24 * HOUR, member: 24 * HOUR } as const;
/** Longest life of a sign-in link, ms. */
export const MAX_LINK_LIFE_MS = 24 * HOUR;
/** Most sessions, and most unused links, of one worker or member; the oldest ends when another is made. */
export const MAX_SESSIONS = 20;
const MAX_LINKS = 20;

/** Name of an owner within the org. */
function nameOf(owner: SessionOwner): string {
  return owner.kind === 'worker' ? `worker:${owner.worker_id}` : `member:${owner.member_id}`;
}

/** The key of the owner's sessions, which also names all of them in caches. */
export function sessionsKey(db: Db, owner: SessionOwner): string {
  return orgKeysOf(db.prefix, owner.org_id).sessions(nameOf(owner));
}

function linksKey(db: Db, owner: SessionOwner): string {
  return orgKeysOf(db.prefix, owner.org_id).signInLinks(nameOf(owner));
}

/** Guard that holds while a session or link is listed, so it has neither ended nor been used. */
export function listedGuard(db: Db, stored: WorkerSession | MemberSession | SignInLink, hash: string): Guard {
  const owner = ownerOf(stored);
  const key = stored.kind === 'sign_in_link' ? linksKey(db, owner) : sessionsKey(db, owner);
  return { kind: 'score', key, member: hash, score: stored.expires_at };
}

/** Whether a session or link is listed; see `listedGuard`. */
export async function isListed(
  db: Db,
  stored: WorkerSession | MemberSession | SignInLink,
  hash: string,
): Promise<boolean> {
  const owner = ownerOf(stored);
  const key = stored.kind === 'sign_in_link' ? linksKey(db, owner) : sessionsKey(db, owner);
  return Number(await db.redis.zscore(key, hash)) === stored.expires_at;
}

/**
 * Writes that store a new session; those of the owner that have expired, or are too many, end.
 * @param hash SHA-256 of its text, hex
 */
export function sessionWrites(db: Db, session: WorkerSession | MemberSession, hash: string): Promise<Change> {
  return addWrites(db, sessionsKey(db, ownerOf(session)), session, hash, MAX_SESSIONS);
}

/** Writes that store a new link; likewise. */
export function linkWrites(db: Db, link: SignInLink, hash: string): Promise<Change> {
  return addWrites(db, linksKey(db, ownerOf(link)), link, hash, MAX_LINKS);
}

async function addWrites(
  db: Db,
  list: string,
  stored: WorkerSession | MemberSession | SignInLink,
  hash: string,
  most: number,
): Promise<Change> {
  const { credential } = orgKeysOf(db.prefix, stored.org_id);
  const now = db.clock.now();
  const listed = await db.redis.zrange(list, '0', '-1');
  const ended = listed.slice(0, Math.max(0, listed.length - most + 1));
  const life = Math.max(1, Math.ceil(stored.expires_at - now));
  return {
    guards: [],
    writes: [
      ['SET', credential(hash), JSON.stringify(stored), 'PX', life],
      ...ended.map((one): Write => ['DEL', credential(one)]),
      ['ZREMRANGEBYSCORE', list, '-inf', now],
      ['ZADD', list, stored.expires_at, hash],
      ['ZREMRANGEBYRANK', list, 0, -most - 1],
      // At least as long as the longest-lived member of the list.
      ['PEXPIRE', list, Math.max(life, MAX_LINK_LIFE_MS)],
    ],
  };
}

/** Guard and writes that use a link up. The guard fails when it has been used, or has ended. */
export function useLink(db: Db, link: SignInLink, hash: string): Change {
  return {
    guards: [listedGuard(db, link, hash)],
    writes: [
      ['ZREM', linksKey(db, ownerOf(link)), hash],
      ['DEL', orgKeysOf(db.prefix, link.org_id).credential(hash)],
    ],
  };
}

/** Writes that end one session. */
export function endSession(db: Db, owner: SessionOwner, hash: string): Change {
  return {
    guards: [],
    writes: [
      ['ZREM', sessionsKey(db, owner), hash],
      ['DEL', orgKeysOf(db.prefix, owner.org_id).credential(hash)],
    ],
  };
}

/** Writes that end all sessions and unused links of the owner, and how many sessions and links that are. */
export async function endSessions(
  db: Db,
  owner: SessionOwner,
): Promise<Change & { sessions: number; links: number }> {
  const { credential } = orgKeysOf(db.prefix, owner.org_id);
  const lists = [sessionsKey(db, owner), linksKey(db, owner)] as const;
  const [sessions, links] = await Promise.all([
    db.redis.zrange(lists[0], '0', '-1'),
    db.redis.zrange(lists[1], '0', '-1'),
  ]);
  return {
    sessions: sessions.length,
    links: links.length,
    guards: [],
    writes: [
      ...lists.map((key): Write => ['DEL', key]),
      ...[...sessions, ...links].map((hash): Write => ['DEL', credential(hash)]),
    ],
  };
}

/** The owner's sessions that have not expired, the newest first; one that cannot be read is left out and reported. */
export async function listSessions(db: Db, owner: SessionOwner): Promise<(WorkerSession | MemberSession)[]> {
  const { credential } = orgKeysOf(db.prefix, owner.org_id);
  const hashes = await db.redis.zrevrange(sessionsKey(db, owner), 0, -1);
  if (hashes.length === 0) return [];
  const keys = hashes.map(credential);
  const texts = await db.redis.mget(keys);
  const found = await Promise.all(
    texts.map((text, index) =>
      text === null
        ? null
        : nullIfUnreadable(db, async () => required(keys[index] ?? '', readCredential(text))),
    ),
  );
  return found.filter(isSession).filter((one) => one.expires_at > db.clock.now());
}

function isSession(stored: StoredCredential | null): stored is WorkerSession | MemberSession {
  return stored?.kind === 'worker_session' || stored?.kind === 'member_session';
}
