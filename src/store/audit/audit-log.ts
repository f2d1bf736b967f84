// The org's audit log: a stream of hash-chained entries, and its head. An entry is written in the commit of the change
// that it records, so there is no change without its entry and no entry without its change.

import { type AuditEntry, type AuditEvent, type AuditHead, auditEntry } from '../../state/audit/audit.ts';
import { readJsonShape, type Shape } from '../../state/text/forms.ts';
import { type Change, commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { KeyedMutex } from '../redis/keyed-mutex.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { MAX_EXAMINED } from '../redis/lists.ts';
import { nullIfUnreadable, required } from '../redis/unreadable.ts';

/** Commits to the log of one org run one at a time within this process, because each changes the head. */
const mutex = new KeyedMutex();

/**
 * Commits a change together with its entry in the org's audit log.
 * @param auditEvent who did what; must not contain a secret.
 * @param change all its keys belong to the org.
 * @returns false when a guard of the change failed; then nothing was written. @throws ContendedError
 */
export function commitAudited(
  db: Db,
  orgId: string,
  auditEvent: AuditEvent,
  change: Change,
): Promise<boolean> {
  return mutex.take(`${db.prefix} ${orgId}`, async () => {
    const keys = orgKeysOf(db.prefix, orgId);
    let before = await loadHead(db, orgId);
    return updateWithRetry('the audit log', async () => {
      const entry = auditEntry(auditEvent, before, db.clock.now());
      const at = Date.parse(entry.at);
      const done = await commit(db.redis, {
        guards: [...change.guards, { kind: 'version', key: keys.auditHead, version: before.sequence }],
        writes: [
          ...change.writes,
          ['HSET', keys.auditHead, 'v', entry.sequence, 'h', entry.hash, 't', at],
          ['XADD', keys.audit, `${at}-${entry.sequence}`, 'd', JSON.stringify(entry)],
        ],
      });
      if (done) return true;
      const now = await loadHead(db, orgId);
      // The head is unchanged, so a guard of the change failed.
      if (now.sequence === before.sequence) return false;
      before = now;
      return CONFLICT;
    });
  });
}

/** The head of the org's audit log: sequence, hash and time of the last entry. */
export async function loadHead(db: Db, orgId: string): Promise<AuditHead> {
  const [sequence, hash, at] = await db.redis.hmget(orgKeysOf(db.prefix, orgId).auditHead, 'v', 'h', 't');
  return { sequence: Number(sequence ?? 0), hash: hash ?? null, at: Number(at ?? 0) };
}

const SHAPE: Shape<AuditEntry> = { sequence: 'number', at: 'string', hash: 'string' };

/** A valid position in the log. */
export const POSITION = /^\d{1,15}-\d{1,15}$/;

/**
 * Entries of the log in order, at most `count`. An unreadable entry is left out and reported; verification of the chain
 * finds the gap.
 * @param range `after`: the position to continue after; `from` and `to`: times, ms, `to` excluded.
 */
export async function readAudit(
  db: Db,
  orgId: string,
  range: { order: 'asc' | 'desc'; after: string | null; from?: number; to?: number },
  count: number,
): Promise<{ position: string; entry: AuditEntry }[]> {
  const { audit } = orgKeysOf(db.prefix, orgId);
  const low = range.from === undefined ? '-' : String(range.from);
  const high = range.to === undefined ? '+' : `(${range.to}-0`;
  const read: { position: string; entry: AuditEntry }[] = [];
  for (let after = range.after, more = true; more && read.length < count; ) {
    const start = after === null ? null : `(${after}`;
    const left = count - read.length;
    const found =
      range.order === 'asc'
        ? await db.redis.xrange(audit, start ?? low, high, 'COUNT', left)
        : await db.redis.xrevrange(audit, start ?? high, low, 'COUNT', left);
    for (const [position, [, text = '']] of found) {
      const entry = await nullIfUnreadable(db, async () => readEntry(`${audit} ${position}`, text));
      if (entry !== null) read.push({ position, entry });
      after = position;
    }
    more = found.length === left;
  }
  return read;
}

/** Fewest entries that a step of `auditPage` reads. */
const STEP = 200;

/**
 * One page of the log, with the entries that are wanted. It may end before it is full, after `MAX_EXAMINED` entries.
 * @param range as for `readAudit`. @param limit most entries.
 * @returns the entries, and the position after which the next page starts; null at the end
 */
export async function auditPage(
  db: Db,
  orgId: string,
  range: Parameters<typeof readAudit>[2],
  limit: number,
  isWanted: (entry: AuditEntry) => boolean,
): Promise<{ entries: AuditEntry[]; next: string | null }> {
  const found: { position: string; entry: AuditEntry }[] = [];
  const size = Math.max(limit + 1, STEP);
  let { after } = range;
  for (let examined = 0; examined < MAX_EXAMINED; examined += size) {
    const read = await readAudit(db, orgId, { ...range, after }, size);
    found.push(...read.filter(({ entry }) => isWanted(entry)));
    if (found.length > limit || read.length < size) {
      const shown = found.slice(0, limit);
      const next = found.length > limit ? (shown.at(-1)?.position ?? null) : null;
      return { entries: shown.map(({ entry }) => entry), next };
    }
    after = read.at(-1)?.position ?? null;
  }
  return { entries: found.map(({ entry }) => entry), next: after };
}

function readEntry(key: string, text: string): AuditEntry {
  return required(key, readJsonShape<AuditEntry>(text, SHAPE));
}
