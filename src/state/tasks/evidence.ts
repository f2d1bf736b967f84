// The rules of evidence: files that a worker hands in with a task. How much, when, and which of them a
// submission carries. Pure; where the bytes lie and how they travel is not its business.

import type { EvidenceRef, Task } from './task.ts';

/** Largest file in bytes. */
export const EVIDENCE_BYTES = 25 * 1024 * 1024;
/** Most files that one worker may have with one task. */
export const EVIDENCE_FILES = 50;
/** Most files that all who had a task may have handed in with it. */
export const TASK_FILES = 500;

/** One file as it is kept. A worker's files stay theirs when the task goes to another. */
export interface Evidence extends EvidenceRef {
  worker_id: string;
  uploaded_at: number;
  /** Whether its bytes are counted in what its org keeps; absent in files from before there was such a count. */
  counted?: true;
}

/** Why a worker may not add a file to a task. */
export type EvidenceRefusal = 'not_yours' | 'invalid_transition' | 'full';

/** Whether `workerId` may add a file to `task`, given the files that are there; null when they may. */
export function refuseEvidence(
  task: Task,
  workerId: string,
  there: readonly Evidence[],
): EvidenceRefusal | null {
  if (task.assignment?.worker_id !== workerId) return 'not_yours';
  if (task.status !== 'accepted' && task.status !== 'started') return 'invalid_transition';
  if (there.length >= TASK_FILES) return 'full';
  return there.filter((one) => one.worker_id === workerId).length >= EVIDENCE_FILES ? 'full' : null;
}

/** Whether the task takes files of a media type, given in lower case. */
export function takesType({ input }: Task, mediaType: string): boolean {
  const { evidence_types: ranges } = input.output;
  if (ranges === undefined) return true;
  const [kind] = mediaType.split('/');
  return ranges.some((range) => [mediaType, `${kind}/*`].includes(range.toLowerCase()));
}

/**
 * The files that a submission carries: those that `ids` name, in that order, or without `ids` all that the
 * worker uploaded for the task. Another worker's files are none of theirs.
 * @returns the files, and the positions in `ids` of those that are not there.
 */
export function chooseEvidence(
  there: readonly Evidence[],
  workerId: string,
  ids: readonly string[] | undefined,
): { chosen: EvidenceRef[]; unknown: number[] } {
  const own = new Map(
    there.filter((one) => one.worker_id === workerId).map((one) => [one.evidence_id, evidenceRef(one)]),
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

/** What is wrong with the evidence that was chosen for a submission, with pointers into what the worker submits. */
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

/** What others get to know of a file. */
export function evidenceRef({ evidence_id, name, media_type, bytes, sha256 }: EvidenceRef): EvidenceRef {
  return { evidence_id, name, media_type, bytes, sha256 };
}
