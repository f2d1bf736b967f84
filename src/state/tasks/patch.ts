// Patches of a task's input: its SLA, requirements and metadata. A patch is a JSON merge patch (RFC 7396), and the event
// `task.updated` names each changed member.

import { isObject } from '../text/forms.ts';
import { isSame } from '../text/same.ts';
import type { HistoryEntry } from './event.ts';
import type { Requirements, TaskInput, Urgency } from './task.ts';

/** New values of members; null removes one, and members that are not given stay. */
export interface TaskPatch {
  sla?: { urgency?: Urgency; deadline?: string | null; target_latency_seconds?: number | null };
  requirements?: { [K in keyof Requirements]?: Requirements[K] | null } | null;
  metadata?: Record<string, string | null> | null;
}

/** A changed member of the input. `from` and `to` are null where there is no value. */
export interface FieldChange {
  /** JSON Pointer (RFC 6901). */
  pointer: string;
  from: unknown;
  to: unknown;
}

/** Most members of a task's metadata. */
export const MAX_METADATA = 50;

/** Pointer of a change of the metadata. */
export const METADATA = '/metadata';

/** The input after a patch. */
export function patched(input: TaskInput, patch: TaskPatch): TaskInput {
  const after: TaskInput = { ...input };
  if (patch.sla !== undefined) after.sla = merged(input.sla, patch.sla);
  if (patch.requirements === null) delete after.requirements;
  else if (patch.requirements !== undefined)
    after.requirements = merged(input.requirements ?? {}, patch.requirements);
  if (patch.metadata === null) delete after.metadata;
  else if (patch.metadata !== undefined) after.metadata = merged(input.metadata ?? {}, patch.metadata);
  return after;
}

/** The members of `given` with those of `patch` set, or removed where they are null. */
function merged<T extends object>(given: T, patch: { [K in keyof T]?: T[K] | null | undefined }): T {
  const entries = Object.entries({ ...given, ...patch });
  // The types of both sides say that the members without null are those of T.
  return Object.fromEntries(entries.filter(([, value]) => value !== null && value !== undefined)) as T;
}

/** The members that differ between two inputs. Metadata counts as one member. */
export function changesBetween(before: TaskInput, after: TaskInput): FieldChange[] {
  const changes: FieldChange[] = [];
  const compare = (pointer: string, from: unknown = null, to: unknown = null) => {
    if (!isSame(from, to)) changes.push({ pointer, from, to });
  };
  for (const name of ['urgency', 'deadline', 'target_latency_seconds'] as const)
    compare(`/sla/${name}`, before.sla[name], after.sla[name]);
  const [was, is] = [new Map(membersOf(before.requirements)), new Map(membersOf(after.requirements))];
  for (const name of new Set([...was.keys(), ...is.keys()]))
    compare(`/requirements/${name}`, was.get(name), is.get(name));
  compare(METADATA, before.metadata, after.metadata);
  return changes;
}

function membersOf(value: object | undefined): [string, unknown][] {
  return Object.entries(value ?? {});
}

/** The input with the metadata that the task had at one of its events. @param later the events after that one, oldest first. */
export function inputAt(now: TaskInput, later: readonly Pick<HistoryEntry, 'type' | 'data'>[]): TaskInput {
  for (const { type, data } of later) {
    if (type !== 'task.updated' || !Array.isArray(data.changes)) continue;
    const changes: unknown[] = data.changes;
    const change = changes.find((one) => isObject(one) && one.pointer === METADATA);
    // `update` wrote it from the metadata of that time.
    if (isObject(change)) return { ...now, metadata: (change.from ?? {}) as Record<string, string> };
  }
  return now;
}
