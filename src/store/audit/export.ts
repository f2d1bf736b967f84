// Writes an org's export: its audit log and the histories of its tasks within a range of time, chain by
// chain in the order of creation. It reads in small steps and only as fast as it is read from, so neither
// this process nor Redis feels how large it is.

import { ExportWriter, type Linked } from '../../state/audit/export-file.ts';
import { timestamp } from '../../state/text/time.ts';
import type { Db } from '../redis/connection.ts';
import { idFloor } from '../redis/ids.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { scan } from '../redis/lists.ts';
import type { Sealer } from '../redis/sealing.ts';
import { fetched, readableOrNull } from '../redis/unreadable.ts';
import { loadWholes, type WholeTask } from '../tasks/tasks.ts';
import { loadHead, readAudit } from './audit-log.ts';
import { signingKey } from './signing-keys.ts';

/** Tasks and log entries read in one step. */
const STEP = 50;
/** By how much, at most, an id may be later than its task: when both were made its clock, or another's, may have been ahead, ms. */
const AHEAD = 24 * 3600 * 1000;
/** What happened in the last moments may not be written yet; it is left to the next export, ms. */
const SETTLING = 2000;

/**
 * The lines of an export in pieces of text.
 * @param range times, ms: `from` (null: all) up to, without, `to` (null: all that is settled).
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

interface Between {
  from: number;
  to: number;
}

async function* auditLog(
  db: Db,
  writer: ExportWriter,
  orgId: string,
  range: Between,
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
  // What is noted of the log's end holds, whatever the log itself looks like.
  const { hash } = head;
  const isWithin = hash !== null && head.at >= range.from && head.at < range.to;
  const end = isWithin ? { sequence: head.sequence, hash } : last;
  if (end !== null) yield headOf(writer, 'org', first, end);
}

/** The heads of tasks, those that ended before `from` passed over without being read. */
async function* histories(
  db: Db,
  writer: ExportWriter,
  orgId: string,
  range: Between,
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  const keys = orgKeysOf(db.prefix, orgId);
  const created = { order: 'asc', after: null, from: null, to: idFloor(range.to + AHEAD) } as const;
  for await (const chunk of scan(db, [keys.index('all')], created))
    for (let at = 0; at < chunk.length; at += STEP) {
      // Where nothing is found nothing is sent, so the client's absence shows here alone.
      signal?.throwIfAborted();
      const ids = await livedWithin(db, orgId, chunk.slice(at, at + STEP), range.from);
      const lines = (await loadWholes(db, orgId, ids)).flatMap((whole) =>
        whole === null ? [] : linesOf(writer, whole, range),
      );
      if (lines.length > 0) yield lines.join('');
    }
}

function linesOf(writer: ExportWriter, { task, head, history }: WholeTask, range: Between): string[] {
  // Without a head its history is not kept.
  if (head === '') return [];
  const chain = `task/${task.task_id}`;
  const entries = history.filter((one) => {
    const at = Date.parse(one.at);
    return at >= range.from && at < range.to;
  });
  // What the task says of the end of its history holds, whatever the history itself looks like.
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

/** The ids of tasks that had not ended before `from`. */
async function livedWithin(db: Db, orgId: string, ids: readonly string[], from: number): Promise<string[]> {
  const keys = orgKeysOf(db.prefix, orgId);
  const ends = await Promise.all(
    ids.map((id) => readableOrNull(db, () => fetched(keys.task(id), db.redis.hget(keys.task(id), 'e')))),
  );
  return ids.filter((_id, index) => {
    const ended = ends[index] ?? null;
    return ended === null || Number(ended) >= from;
  });
}
