// The rules of evidence, the files that a worker uploads for a task: how many, when, and which of them a submission
// includes. Pure: it does not know where the bytes are stored.

import { isOfWorker } from './offer.ts';
import type { EvidenceRef, Task } from './task.ts';

/** Largest size of a file, in bytes. */
export const MAX_EVIDENCE_BYTES = 25 * 1024 * 1024;
/** Most files that one worker may upload for one task. */
export const EVIDENCE_FILES = 50;
/** Most files of all workers for one task. */
export const TASK_FILES = 500;

/** One stored file. A worker's files stay theirs when the task goes to another worker. */
export interface Evidence extends EvidenceRef {
  worker_id: string;
  /** Of the worker who uploaded it; see `isOfWorker`. */
  incarnation?: string;
  uploaded_at: number;
  /** Whether its bytes count toward the org's quota; absent in records that are older than the quota. */
  counted?: true;
}

/** Why a worker may not add a file to a task. */
export type EvidenceRefusal = 'not_yours' | 'invalid_transition' | 'full';

/** A worker as their token tells; `incarnation` null stands for every worker of the id. */
export interface Uploader {
  worker_id: string;
  incarnation: string | null;
}

/** Whether the file is the worker's. */
export function isUploadOf(file: Evidence, { worker_id, incarnation }: Uploader): boolean {
  return incarnation === null ? file.worker_id === worker_id : isOfWorker(file, { worker_id, incarnation });
}

/** Why `worker` may not add a file to `task`, which has the files `there`; null when they may. */
export function refuseEvidence(
  task: Task,
  worker: { worker_id: string; incarnation: string },
  there: readonly Evidence[],
): EvidenceRefusal | null {
  if (task.assignment === null || !isOfWorker(task.assignment, worker)) return 'not_yours';
  if (task.status !== 'accepted' && task.status !== 'started') return 'invalid_transition';
  if (there.length >= TASK_FILES) return 'full';
  return there.filter((one) => isUploadOf(one, worker)).length >= EVIDENCE_FILES ? 'full' : null;
}

/** Whether the task accepts files of a media type, given in lower case. */
export function takesType({ input }: Task, mediaType: string): boolean {
  const { evidence_types: ranges } = input.output;
  if (ranges === undefined) return true;
  const [kind] = mediaType.split('/');
  return ranges.some((range) => [mediaType, `${kind}/*`].includes(range.toLowerCase()));
}

/**
 * The files that a submission includes: those named by `ids`, in that order, or without `ids` all files that the worker
 * uploaded for the task. Files of other workers are never included,
 * not even of a removed one with the same id.
 * @returns the files, and the positions in `ids` of unknown files.
 */
export function chooseEvidence(
  there: readonly Evidence[],
  worker: Uploader,
  ids: readonly string[] | undefined,
): { chosen: EvidenceRef[]; unknown: number[] } {
  const own = new Map(
    there.filter((one) => isUploadOf(one, worker)).map((one) => [one.evidence_id, evidenceRef(one)]),
  );
  if (ids === undefined) return { chosen: [...own.values()], unknown: [] };
  const chosen: EvidenceRef[] = [];
  const unknown: number[] = [];
  for (const [index, id] of ids.entries()) {
    const found = own.get(id);
    if (found === undefined) unknown.push(index);
    else chosen.push(found);
  }
  return { chosen, unknown };
}

/** Faults of the evidence chosen for a submission, with pointers into the submitted body. */
export function evidenceProblems(
  { input }: Task,
  { chosen, unknown }: ReturnType<typeof chooseEvidence>,
): { pointer: string; message: string }[] {
  const problems = unknown.map((index) => ({
    pointer: `/evidence_ids/${index}`,
    message: 'is no evidence of yours for this task',
  }));
  if (input.output.evidence_required && chosen.length === 0 && unknown.length === 0)
    problems.push({
      pointer: '/evidence_ids',
      message: 'must name evidence: this task is not done without it',
    });
  return problems;
}

/** The public part of an evidence record. */
export function evidenceRef({ evidence_id, name, media_type, bytes, sha256 }: EvidenceRef): EvidenceRef {
  return { evidence_id, name, media_type, bytes, sha256 };
}
