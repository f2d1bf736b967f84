// What a commit leaves in the outbox for the relay: enough to make every job that follows from it, without
// looking anything up.

import { readQuestion, type ScheduledCheck } from './tasks/checks.ts';
import { broken, isObject, type Read, readForm, readJson, readShape, type Shape } from './text/forms.ts';

/** The form that entries are written in; entries without one are of the first. */
export const ENTRY_FORM = 1;

/** A task that is to find a worker, or a worker who is to find a task. */
export type MatchRequest =
  | {
      kind: 'task';
      task_id: string;
      /** Pool of the workers who may take it; null when that is not known, or any may. */
      pool: string | null;
    }
  | { kind: 'worker'; worker_id: string };

export type OutboxEntry =
  | {
      kind: 'task';
      org_id: string;
      task_id: string;
      version: number;
      /** Checks that are new with this version, and those that need not be asked any more. */
      asked: ScheduledCheck[];
      dropped: ScheduledCheck[];
      /** Sequences of the events to deliver to the task's own callback URL. */
      deliveries: number[];
      /** For the org's endpoints: types of the events without `task.`, number of the first, time (ms), pool. */
      events: string[];
      first: number;
      at: number;
      pool: string | null;
    }
  | {
      /** A delivery that is to be made now: sent by hand, replayed, or to see whether it arrives. */
      kind: 'delivery';
      org_id: string;
      task_id: string;
      sequence: number;
      endpoint_id?: string | undefined;
      /** Tells its job from those before it. */
      again: string;
    }
  | {
      kind: 'worker';
      org_id: string;
      worker_id: string;
      version: number;
      /** When the change was made, ms: a removed worker's id may come back with the same versions. */
      at: number;
      /** Tasks a removed worker leaves behind. */
      left: string[];
      /** Whether offers that they hold may not be theirs any more. */
      eligibility_reduced?: boolean;
    }
  | {
      /** A replay to an endpoint was begun. */
      kind: 'replay';
      org_id: string;
      replay_id: string;
    }
  | {
      /** A pool was removed. */
      kind: 'pool';
      org_id: string;
      pool_id: string;
      /** When, ms: its id may be given again. */
      at: number;
    };

type EntryOf<K extends OutboxEntry['kind']> = Extract<OutboxEntry, { kind: K }>;

const SHAPES: { [K in OutboxEntry['kind']]: Shape<EntryOf<K>> } = {
  task: {
    org_id: 'string',
    task_id: 'string',
    version: 'number',
    asked: 'list',
    dropped: 'list',
    deliveries: 'list',
    events: 'strings',
    first: 'number',
    at: 'number',
  },
  delivery: { org_id: 'string', task_id: 'string', sequence: 'number', again: 'string' },
  worker: { org_id: 'string', worker_id: 'string', version: 'number', at: 'number', left: 'strings' },
  replay: { org_id: 'string', replay_id: 'string' },
  pool: { org_id: 'string', pool_id: 'string', at: 'number' },
};

/**
 * What an entry says.
 * @param fields of its stream entry: `d` the JSON, `f` its form; the form may stand within the JSON too.
 */
export function readOutboxEntry(fields: readonly string[]): Read<OutboxEntry> {
  const at = (name: string) => fields.findIndex((one, index) => index % 2 === 0 && one === name) + 1;
  const [text, form] = [fields[at('d')], at('f') === 0 ? undefined : fields[at('f')]];
  const unknown = readForm(form, ENTRY_FORM);
  if (unknown !== null) return unknown;
  if (at('d') === 0 || text === undefined) return broken('without text');
  const json = readJson(text);
  return json.kind === 'known' ? readEntry(json.value) : json;
}

function readEntry(entry: unknown): Read<OutboxEntry> {
  if (!isObject(entry)) return broken('not an object');
  const { kind, form } = entry;
  const unknown = readForm(form, ENTRY_FORM);
  if (unknown !== null) return unknown;
  if (!isKind(kind)) return broken('of no known kind');
  const read = readShape<OutboxEntry>(entry, SHAPES[kind]);
  if (read.kind !== 'known' || read.value.kind !== 'task') return read;
  const { asked, dropped, deliveries } = read.value;
  const isUsable = [...asked, ...dropped].every((one) => readQuestion(one).kind === 'known');
  return isUsable && deliveries.every((one) => Number.isInteger(one))
    ? read
    : broken('asks what is not known');
}

function isKind(kind: unknown): kind is OutboxEntry['kind'] {
  return typeof kind === 'string' && Object.hasOwn(SHAPES, kind);
}
