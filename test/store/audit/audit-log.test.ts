// The audit log of an org: one entry for each change, in an unbroken chain, also with concurrent writers.
import { describe, expect, it } from 'vitest';
import { type AuditEntry, digestOf, newAuditEvent } from '../../../src/state/audit/audit.ts';
import { commitAudited, loadHead, readAudit } from '../../../src/store/audit/audit-log.ts';
import { commit, EMPTY_CHANGE } from '../../../src/store/redis/commit.ts';
import type { Db } from '../../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { freshOrg, openTestDb } from '../../support/db.ts';
import { withClockAhead } from '../../support/processors.ts';

const db = await openTestDb();
/** The module as another process has it, with its own mutex. */
const elsewhere: Db = { ...db, redis: db.redis.duplicate() };

const auditEvent = (name: string) => ({
  ...newAuditEvent('operator', 'thing.made', 'thing', name),
  data: { name },
});
const nothing = EMPTY_CHANGE;

async function logOf(org: string): Promise<AuditEntry[]> {
  const found = await readAudit(db, org, { order: 'asc', after: null }, 1000);
  return found.map(({ entry }) => entry);
}

function expectChain(entries: AuditEntry[]): void {
  for (const [index, { hash, ...rest }] of entries.entries()) {
    expect(rest.sequence).toBe(index + 1);
    expect(rest.previous_hash).toBe(entries[index - 1]?.hash ?? null);
    expect(digestOf(rest)).toBe(hash);
  }
}

describe('a change with its entry', () => {
  it('extends one chain when two processes write concurrently', async () => {
    const org = freshOrg(db);
    const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
    const done = await Promise.all(
      names.map((name, index) => commitAudited(index % 2 ? db : elsewhere, org, auditEvent(name), nothing)),
    );
    elsewhere.redis.disconnect();
    expect(done.every(Boolean)).toBe(true);
    const entries = await logOf(org);
    expectChain(entries);
    expect(entries.map((one) => one.target.id).sort()).toEqual(names.sort());
    expect(await loadHead(db, org)).toMatchObject({ sequence: 40, hash: entries.at(-1)?.hash });
  });

  it('writes no entry when a guard of the change fails', async () => {
    const org = freshOrg(db);
    const key = orgKeysOf(db.prefix, org).pool('p');
    const change = { guards: [{ kind: 'absent', key } as const], writes: [['HSET', key, 'v', 1] as const] };
    expect(await commitAudited(db, org, auditEvent('a'), change)).toBe(true);
    expect(await commitAudited(db, org, auditEvent('b'), change)).toBe(false);
    expect((await logOf(org)).map((one) => one.target.id)).toEqual(['a']);
    expect(await commit(db.redis, change)).toBe(false);
  });

  it('is never earlier than the previous entry, whatever the clock says', async () => {
    const org = freshOrg(db);
    await commitAudited(withClockAhead(db, 60_000), org, auditEvent('a'), nothing);
    await commitAudited(db, org, auditEvent('b'), nothing);
    const [a, b] = await logOf(org);
    expect(b?.at).toBe(a?.at);
    expectChain(await logOf(org));
  });
});
