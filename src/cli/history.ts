// Reads the history of a task from the API in pages, checks its form, and describes its entries.

import type { BioLayer } from '@biolayer/sdk';
import type { HistoryEntry } from '../state/tasks/event.ts';
import { HISTORY_FIELDS } from '../state/tasks/history.ts';
import { ambiguityOf, hasExactly } from '../state/text/json-scan.ts';
import { CheckFailed } from './faults.ts';
import { givenOnly } from './flags.ts';
import { at, listAt, textAt } from './value.ts';

const PAGE = 200;

/** History entries with a sequence above `after`, oldest first. */
export async function historyAfter(api: BioLayer, taskId: string, after: number): Promise<HistoryEntry[]> {
  const found: HistoryEntry[] = [];
  // Newest first, so that only new entries are read.
  for await (const entry of api.tasks.listEvents(taskId, { order: 'desc', limit: PAGE })) {
    if (entry.sequence <= after) break;
    found.push(entry);
  }
  return found.reverse();
}

/** A complete history and the entry that it must end with. */
interface WholeHistory {
  entries: HistoryEntry[];
  head: { sequence: number; hash: string };
}

/** Where a history is read. */
export interface HistorySource {
  api: BioLayer;
  /** The text of each answer is added here before it is parsed. */
  texts: string[];
}

/**
 * The complete history, read as strictly as an export: each response must be unambiguous JSON with exactly the documented
 * fields. @throws CheckFailed otherwise.
 */
export async function readWholeHistory({ api, texts }: HistorySource, taskId: string): Promise<WholeHistory> {
  const found: HistoryEntry[] = [];
  let head: WholeHistory['head'] | undefined;
  let cursor: string | undefined;
  do {
    const query = givenOnly({ order: 'desc' as const, limit: PAGE, cursor });
    const page: unknown = await api.tasks.listEvents(taskId, query);
    refuseAmbiguous(texts.splice(0).at(-1) ?? '');
    if (!isObject(page) || !hasExactly(page, PAGE_FIELDS) || !Array.isArray(page.data))
      throw new CheckFailed('A response does not have the fields of a history page.');
    if (!isHead(page.head))
      throw new CheckFailed('A response does not say where the history ends: it was purged, or is withheld.');
    head ??= page.head;
    for (const entry of page.data as unknown[]) {
      if (!isObject(entry) || !hasExactly(entry, HISTORY_FIELDS) || !isEntry(entry))
        throw new CheckFailed('A history entry does not have the documented fields.');
      found.push(entry);
    }
    cursor = textAt(page, 'next_cursor') || undefined;
    if ((cursor !== undefined) !== page.has_more || (page.data.length === 0 && page.has_more))
      throw new CheckFailed('A response does not say consistently whether there are more entries.');
  } while (cursor !== undefined);
  return { entries: found.reverse(), head };
}

const PAGE_FIELDS = ['data', 'has_more', 'next_cursor', 'head'];

function refuseAmbiguous(text: string): void {
  const ambiguity = ambiguityOf(text);
  if (ambiguity !== null) throw new CheckFailed(`A response is ambiguous JSON: ${ambiguity}.`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isHead(value: unknown): value is WholeHistory['head'] {
  return (
    isObject(value) &&
    hasExactly(value, ['sequence', 'hash']) &&
    Number.isSafeInteger(value.sequence) &&
    typeof value.hash === 'string'
  );
}

function isEntry(value: unknown): value is HistoryEntry {
  const texts = ['event_id', 'type', 'status', 'at', 'actor', 'hash'];
  const data = at(value, 'data');
  return (
    texts.every((name) => typeof at(value, name) === 'string') &&
    Number.isInteger(at(value, 'sequence')) &&
    typeof data === 'object' &&
    data !== null
  );
}

/** A short description of an entry. */
export function describe({ type, actor, data }: HistoryEntry): string {
  const text = (...path: string[]) => textAt(data, ...path);
  const detail = text('detail') === '' ? '' : `: ${text('detail')}`;
  switch (type) {
    case 'task.created':
      return `by ${actor.split(':')[0]}`;
    case 'task.queued':
      return [text('reason'), text('worker_id')].filter((one) => one !== '').join(', ') + detail;
    case 'task.matched':
    case 'task.offered':
      return others(data, type === 'task.matched' ? 'worker_ids' : 'offers');
    case 'task.accepted':
    case 'task.started':
    case 'task.submitted':
      return text('worker_id') + (text('reason') === '' ? '' : `, ${text('reason')}`) + detail;
    case 'task.verified':
      return text('mode');
    case 'task.completed':
      return JSON.stringify(at(data, 'result', 'output') ?? null);
    case 'task.failed':
      return `${text('failure', 'code')}: ${text('failure', 'message')}`;
    case 'task.cancelled':
      return text('cancellation', 'reason') || `by ${text('cancellation', 'cancelled_by').split(':')[0]}`;
    case 'task.disputed':
      return text('decision') || `by ${text('worker_id')}`;
    case 'task.sla_breached':
      return `${text('clock')} by ${seconds(text('due_at'), text('breached_at'))} s`;
    default:
      return '';
  }
}

function seconds(from: string, to: string): string {
  return ((Date.parse(to) - Date.parse(from)) / 1000).toFixed(3);
}

/** The first worker, and how many more there are. */
function others(data: unknown, list: string): string {
  const more = listAt(data, list).length - 1;
  return textAt(data, 'worker_id') + (more > 0 ? ` and ${more} more` : '');
}
