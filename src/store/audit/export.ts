// Writes an org's audit export: its audit log and the histories of its tasks within a time range, one hash chain after
// the other in the order of creation. It reads in small steps and no faster than the client, so the size of an export
// burdens neither this process nor Redis.

import { ExportWriter, type Linked } from '../../state/audit/export-file.ts';
import { timestamp } from '../../state/text/time.ts';
import { ARCHIVED } from '../redis/archive.ts';
import type { Db } from '../redis/connection.ts';
import { idFloor } from '../redis/ids.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { scan } from '../redis/lists.ts';
import type { Sealer } from '../redis/sealing.ts';
import { fetched, nullIfUnreadable } from '../redis/unreadable.ts';
import { GOLD_INDEX } from '../tasks/filtered.ts';
import { loadWholes, type WholeTask } from '../tasks/tasks.ts';
import { loadHead, readAudit } from './audit-log.ts';
import { signingKey } from './signing-keys.ts';

/** Tasks and log entries read in one step. */
const STEP = 50;
/** The time in a task's id may be later than its creation by up to this, ms, because clocks may have been ahead. */
const ID_AHEAD = 24 * 3600 * 1000;
/** Events of the last moments may not be committed yet; they are left to the next export, ms. */
const SETTLING = 2000;

/**
 * The text of an export, in pieces of whole lines.
 * @param range times, ms: `from` (null: the beginning) up to `to`, excluded (null: now).
 * @param signal aborts the export. @throws the signal's reason; the client's error in an outage
 */
export async function* exportAudit(
  db: Db,
  sealer: Sealer,
  orgId: string,
  range: { from: number | null; to: number | null },
  signal?: AbortSignal,
): AsyncGenerator<string> {
  const now = db.clock.now();
  const to = Math.min(range.to ?? now, now - SETTLING);
  const { keyId, key } = await signingKey(db, sealer);
  const writer = new ExportWriter(
    {
      kind: 'export',
      version: 1,
      org_id: orgId,
      from: range.from === null ? null : timestamp(range.from),
      to: timestamp(to),
      exported_at: timestamp(now),
      key_id: keyId,
    },
    key,
  );
  const between = { from: range.from ?? 0, to };
  yield writer.first;
  yield* auditLog(db, writer, orgId, between);
  yield* histories(db, writer, orgId, between, signal);
  yield writer.end();
}

/** Times, ms; `to` is excluded. */
interface TimeRange {
  from: number;
  to: number;
}

async function* auditLog(
  db: Db,
  writer: ExportWriter,
  orgId: string,
  range: TimeRange,
): AsyncGenerator<string> {
  const head = await loadHead(db, orgId);
  let first: Linked | null = null;
  let last: Linked | null = null;
  for (let after: string | null = null; ; ) {
    const page: Awaited<ReturnType<typeof readAudit>> = await readAudit(
      db,
      orgId,
      { order: 'asc', after, ...range },
      STEP,
    );
    if (page.length > 0) yield page.map(({ entry }) => writer.entry('org', entry)).join('');
    first ??= page[0]?.entry ?? null;
    last = page.at(-1)?.entry ?? last;
    if (page.length < STEP) break;
    after = page.at(-1)?.position ?? null;
  }
  // The stored head is authoritative, even if entries of the stream are missing.
  const { hash } = head;
  const isWithin = hash !== null && head.at >= range.from && head.at < range.to;
  const end = isWithin ? { sequence: head.sequence, hash } : last;
  if (end !== null) yield headOf(writer, 'org', first, end);
}

/** The histories of tasks. Tasks that ended before `from` are skipped without loading them. */
async function* histories(
  db: Db,
  writer: ExportWriter,
  orgId: string,
  range: TimeRange,
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  const keys = orgKeysOf(db.prefix, orgId);
  const created = { order: 'asc', after: null, from: null, to: idFloor(range.to + ID_AHEAD) } as const;
  const indexes = [keys.index('all'), keys.index(GOLD_INDEX)];
  for await (const chunk of scan(db, indexes, created, { archived: keys.index(ARCHIVED) }))
    for (let at = 0; at < chunk.length; at += STEP) {
      // While no lines are found nothing is sent, so a disconnected client is only noticed here.
      signal?.throwIfAborted();
      const ids = await notEndedBefore(db, orgId, chunk.slice(at, at + STEP), range.from);
      const lines = (await loadWholes(db, orgId, ids)).flatMap((whole) =>
        // The histories of copies belong to their workers.
        whole === null || whole.task.copy_of !== undefined ? [] : linesOf(writer, whole, range),
      );
      if (lines.length > 0) yield lines.join('');
    }
}

function linesOf(writer: ExportWriter, { task, head, history }: WholeTask, range: TimeRange): string[] {
  // Without a head the history has been purged.
  if (head === '') return [];
  const chain = `task/${task.task_id}`;
  const entries = history.filter((one) => {
    const at = Date.parse(one.at);
    return at >= range.from && at < range.to;
  });
  // The head in the task is authoritative, even if entries of the history are missing.
  const isWhole = history.length === task.sequence && history.at(-1)?.hash === head;
  const end = isWhole ? (entries.at(-1) ?? null) : { sequence: task.sequence, hash: head };
  if (end === null) return [];
  return [...entries.map((one) => writer.entry(chain, one)), headOf(writer, chain, entries[0] ?? null, end)];
}

function headOf(
  writer: ExportWriter,
  chain: string,
  first: Linked | null,
  end: Pick<Linked, 'sequence' | 'hash'>,
): string {
  return writer.head({
    chain,
    first: first?.sequence ?? end.sequence,
    previous_hash: first?.previous_hash ?? null,
    last: end.sequence,
    hash: end.hash,
  });
}

/** Those of the tasks that had not ended before `from`, ms. */
async function notEndedBefore(
  db: Db,
  orgId: string,
  ids: readonly string[],
  from: number,
): Promise<string[]> {
  const keys = orgKeysOf(db.prefix, orgId);
  const ends = await Promise.all(
    ids.map((id) => nullIfUnreadable(db, () => fetched(keys.task(id), db.redis.hget(keys.task(id), 'e')))),
  );
  return ids.filter((_id, index) => {
    const ended = ends[index] ?? null;
    return ended === null || Number(ended) >= from;
  });
}
