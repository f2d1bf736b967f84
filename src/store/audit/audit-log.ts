// The org's audit log: a stream of hash-chained entries with its head beside it. An entry is written in the
// very commit that makes the change it tells of, so there is no change without its entry, nor the reverse.

import { type AuditEntry, type AuditEvent, type AuditHead, auditEntry } from '../../state/audit/audit.ts';
import { readJson, readShape, type Shape } from '../../state/text/forms.ts';
import { type Change, commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { KeyedMutex } from '../redis/keyed-mutex.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { readableOrNull, required } from '../redis/unreadable.ts';

const turns = new KeyedMutex();

/**
 * Commits a change together with the entry of the org's audit log that tells of it: `commit`, for whatever an
 * auditor would ask about.
 * @param fact who did what; never a secret.
 * @param change guards and writes, as `commit` takes them; all keys of the same org.
 * @returns false when one of the guards given did not hold; then nothing was written.
 */
export function commitAudited(
  db: Db,
  orgId: string,
  auditEvent: AuditEvent,
  change: Change,
): Promise<boolean> {
  return turns.take(`${db.prefix} ${orgId}`, async () => {
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
      // The log is as it was: it is the caller's own guards that did not hold.
      if (now.sequence === before.sequence) return false;
      before = now;
      return CONFLICT;
    });
  });
}

/** Where the org's audit log ends. */
export async function loadHead(db: Db, orgId: string): Promise<AuditHead> {
  const [sequence, hash, at] = await db.redis.hmget(orgKeysOf(db.prefix, orgId).auditHead, 'v', 'h', 't');
  return { sequence: Number(sequence ?? 0), hash: hash ?? null, at: Number(at ?? 0) };
}

const SHAPE: Shape<AuditEntry> = { sequence: 'number', at: 'string', hash: 'string' };

/** What a position in the log looks like. */
export const POSITION = /^\d{1,15}-\d{1,15}$/;

/**
 * Entries of the log in order, at most `count`. One that cannot be read is left out and reported: whoever verifies the
 * chain finds the gap.
 * @param range `after`: the position to go on behind; `from` and `to`: times, ms, the latter excluded.
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
    const behind = after === null ? null : `(${after}`;
    const left = count - read.length;
    const found =
      range.order === 'asc'
        ? await db.redis.xrange(audit, behind ?? low, high, 'COUNT', left)
        : await db.redis.xrevrange(audit, behind ?? high, low, 'COUNT', left);
    for (const [position, [, text = '']] of found) {
      const entry = await readableOrNull(db, async () => readEntry(`${audit} ${position}`, text));
      if (entry !== null) read.push({ position, entry });
      after = position;
    }
    more = found.length === left;
  }
  return read;
}

function readEntry(key: string, text: string): AuditEntry {
  return required(key, readShape<AuditEntry>(required(key, readJson(text)), SHAPE));
}
