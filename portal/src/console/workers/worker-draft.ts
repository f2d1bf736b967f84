// What is typed in the form of a worker, and the request that is made of it.

import type { Worker } from '@biolayer/sdk';
import { type FieldFault, itemsOf } from '../../shared/forms/use-form.ts';
import type { consoleWorkers } from '../../shared/i18n/en/console-workers.ts';

export interface WorkerDraft {
  worker_id: string;
  name: string;
  pool_ids: string[];
  unpooled_tasks: boolean;
  skills: string;
  certifications: string;
  trust_level: string;
  rating: string;
  capacity: string;
}
export type WorkerField = keyof WorkerDraft;

/** What the form changes, and what must not have changed meanwhile. */
export const WORKER_FIELDS = [
  'name',
  'pool_ids',
  'unpooled_tasks',
  'skills',
  'certifications',
  'trust_level',
  'rating',
  'capacity',
] as const;
export type WorkerFields = Pick<Worker, (typeof WORKER_FIELDS)[number]>;

/** @param pools that a new worker belongs to; a member for some pools alone must name some of theirs. */
export function emptyDraft(pools: string[]): WorkerDraft {
  return {
    worker_id: '',
    name: '',
    pool_ids: pools,
    unpooled_tasks: pools.length === 0,
    skills: '',
    certifications: '',
    trust_level: '0',
    rating: '5',
    capacity: '1',
  };
}

export function draftOf(worker: Worker): WorkerDraft {
  return {
    worker_id: worker.worker_id,
    name: worker.name,
    pool_ids: worker.pool_ids,
    unpooled_tasks: worker.unpooled_tasks,
    skills: worker.skills.join(', '),
    certifications: worker.certifications.join(', '),
    trust_level: String(worker.trust_level),
    rating: String(worker.rating),
    capacity: String(worker.capacity),
  };
}

export function fieldsOf(draft: WorkerDraft): WorkerFields {
  return {
    name: draft.name.trim(),
    pool_ids: draft.pool_ids,
    unpooled_tasks: draft.unpooled_tasks,
    skills: itemsOf(draft.skills),
    certifications: itemsOf(draft.certifications),
    trust_level: Number(draft.trust_level),
    rating: Number(draft.rating),
    capacity: Number(draft.capacity),
  };
}

/** Those of the fields that differ from what the draft began with. */
export function changesOf(before: WorkerDraft, draft: WorkerDraft): Partial<WorkerFields> {
  const [from, to] = [fieldsOf(before), fieldsOf(draft)];
  const changed = WORKER_FIELDS.filter((name) => JSON.stringify(from[name]) !== JSON.stringify(to[name]));
  return Object.fromEntries(changed.map((name) => [name, to[name]]));
}

export function draftFaults(
  draft: WorkerDraft,
  { faults }: typeof consoleWorkers,
): FieldFault<WorkerField>[] {
  const found: FieldFault<WorkerField>[] = [];
  const isLevel = (text: string) => /^\d+([.,]\d+)?$/.test(text) && Number(text) <= 5;
  if (draft.name.trim() === '') found.push({ field: 'name', message: faults.name });
  if (!/^[A-Za-z0-9_-]{0,64}$/.test(draft.worker_id))
    found.push({ field: 'worker_id', message: faults.worker_id });
  for (const field of ['trust_level', 'rating'] as const)
    if (!isLevel(draft[field])) found.push({ field, message: faults.level });
  const capacity = Number(draft.capacity);
  if (!(Number.isInteger(capacity) && capacity >= 1 && capacity <= 1000))
    found.push({ field: 'capacity', message: faults.capacity });
  return found;
}
