// The outbox entries that a commit writes for the relay. An entry holds enough to create every job that follows from
// the commit without reading another record.

import type { NewNotice } from './notices/notice.ts';
import { CHECK_FORM, formOfChecks, readCheck, type ScheduledCheck } from './tasks/scheduled-checks.ts';
import { broken, isObject, type Read, readForm, readJson, readShape, type Shape } from './text/forms.ts';

/** The format version of entries about bulk actions. The next one of checks has a higher number. */
const BULK_ACTION_FORM = 4;
/** The format version of entries about a single notice. */
const NOTICE_FORM = 5;
/** The newest format version of entries. An entry without one has version 1. */
const ENTRY_FORM = Math.max(CHECK_FORM, NOTICE_FORM);

/** The format version in which an entry is written. */
export function formOf(entry: OutboxEntry): number {
  if (entry.kind === 'bulk_action') return BULK_ACTION_FORM;
  if (entry.kind === 'notice') return NOTICE_FORM;
  return entry.kind === 'task' ? formOfChecks([...entry.scheduled, ...entry.cancelled]) : 1;
}

/** What may belong to a trace. */
interface Traced {
  /** The span that caused it, as a `traceparent` (W3C Trace Context); absent while traces are off. */
  trace?: string | undefined;
}

/** A request to find a worker for a task, or tasks for a worker. */
export type MatchRequest = Traced &
  (
    | {
        kind: 'task';
        task_id: string;
        /** Pool of the workers who may take the task; null when any worker may, or when the pool is not known. */
        pool: string | null;
      }
    | { kind: 'worker'; worker_id: string }
  );

export type OutboxEntry = Traced &
  (
    | {
        kind: 'task';
        org_id: string;
        task_id: string;
        version: number;
        /** Checks that this version schedules, and checks that it makes unnecessary. */
        scheduled: ScheduledCheck[];
        cancelled: ScheduledCheck[];
        /** Sequences of the events to deliver to the task's own callback URL. */
        deliveries: number[];
        /** For the org's endpoints: event types without `task.`. */
        events: string[];
        /** Sequence of the first of these events. */
        first: number;
        /** Time of the events, ms. */
        at: number;
        pool: string | null;
        /** Notices for workers; absent: none. */
        notices?: NewNotice[];
      }
    | {
        /** A delivery to make now: a manual retry, a replayed event, or a test message. */
        kind: 'delivery';
        org_id: string;
        task_id: string;
        sequence: number;
        endpoint_id?: string | undefined;
        /** Suffix of the job's id, which distinguishes it from earlier jobs for the same delivery. */
        id_suffix: string;
      }
    | {
        kind: 'worker';
        org_id: string;
        worker_id: string;
        version: number;
        /** When the change was made, ms. A removed worker's id may be used again, with the same versions. */
        at: number;
        /** Tasks that a removed worker still held. */
        orphaned_tasks: string[];
        /** Whether the worker may no longer be eligible for offers they hold. */
        eligibility_reduced?: boolean;
      }
    | {
        /** A replay to an endpoint was started. */
        kind: 'replay';
        org_id: string;
        replay_id: string;
      }
    | {
        /** A bulk action was created. */
        kind: 'bulk_action';
        org_id: string;
        bulk_action_id: string;
      }
    | {
        /** A test of a channel, or the code that confirms it. */
        kind: 'notice';
        org_id: string;
        worker_id: string;
        notice_id: string;
      }
    | {
        /** A pool was removed. */
        kind: 'pool';
        org_id: string;
        pool_id: string;
        /** When, ms. The id may be used again. */
        at: number;
      }
  );

type EntryOf<K extends OutboxEntry['kind']> = Extract<OutboxEntry, { kind: K }>;

const SHAPES: { [K in OutboxEntry['kind']]: Shape<EntryOf<K>> } = {
  task: {
    org_id: 'string',
    task_id: 'string',
    version: 'number',
    scheduled: 'list',
    cancelled: 'list',
    deliveries: 'list',
    events: 'strings',
    first: 'number',
    at: 'number',
    pool: 'string or null',
    notices: 'list?',
  },
  delivery: {
    org_id: 'string',
    task_id: 'string',
    sequence: 'number',
    endpoint_id: 'string?',
    id_suffix: 'string',
  },
  worker: {
    org_id: 'string',
    worker_id: 'string',
    version: 'number',
    at: 'number',
    orphaned_tasks: 'strings',
    eligibility_reduced: 'boolean?',
  },
  replay: { org_id: 'string', replay_id: 'string' },
  bulk_action: { org_id: 'string', bulk_action_id: 'string' },
  pool: { org_id: 'string', pool_id: 'string', at: 'number' },
  notice: { org_id: 'string', worker_id: 'string', notice_id: 'string' },
};

/**
 * Reads a stream entry.
 * @param fields of the stream entry: `d` is the JSON, `f` its format version. It may also be a field of the JSON.
 */
export function readOutboxEntry(fields: readonly string[]): Read<OutboxEntry> {
  const at = (name: string) => fields.findIndex((one, index) => index % 2 === 0 && one === name) + 1;
  const [text, form] = [fields[at('d')], at('f') === 0 ? undefined : fields[at('f')]];
  const unknown = readForm(form, ENTRY_FORM);
  if (unknown !== null) return unknown;
  if (at('d') === 0 || text === undefined) return broken('has no text');
  const json = readJson(text);
  return json.kind === 'known' ? readEntry(json.value) : json;
}

function readEntry(entry: unknown): Read<OutboxEntry> {
  if (!isObject(entry)) return broken('not an object');
  const { kind, form } = entry;
  const unknown = readForm(form, ENTRY_FORM);
  if (unknown !== null) return unknown;
  if (!isKind(kind)) return broken('is of an unknown kind');
  const read = readShape<OutboxEntry>(entry, SHAPES[kind]);
  if (read.kind !== 'known' || read.value.kind !== 'task') return read;
  const { scheduled, cancelled, deliveries } = read.value;
  const isUsable = [...scheduled, ...cancelled].every((one) => readCheck(one).kind === 'known');
  return isUsable && deliveries.every((one) => Number.isInteger(one))
    ? read
    : broken('names an unknown check');
}

function isKind(kind: unknown): kind is OutboxEntry['kind'] {
  return typeof kind === 'string' && Object.hasOwn(SHAPES, kind);
}
