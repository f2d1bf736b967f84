// A task that several workers answer. The task itself is never offered: each worker gets a copy, a task of its own with
// the same lifecycle. A change of a copy changes the task in the same commit:
//
// 1. When the first copy is accepted or started, so is the task, with that worker in its events. The task records the
//    worker of each copy.
// 2. When a copy is completed or fails, its answer or its failure is recorded, and the answers are compared.
// 3. When the answers agree, whatever copies are still open, the task is submitted, verified and completed.
// 4. When they can no longer agree, further copies are made, at most `max_count` in all. After that a reviewer decides
//    if the review is manual; otherwise the task fails.
// 5. When the task ends, the open copies are cancelled.

import { agreementOf, type Comparison, verdict } from './agreement.ts';
import type { Command } from './command.ts';
import { isFinal } from './lifecycle.ts';
import {
  type CopiesInput,
  type Copy,
  dueAt,
  type Escalation,
  type FailureCode,
  type Submission,
  type Task,
  type TaskInput,
} from './task.ts';

/** Most bytes of the output of a copy, as JSON: all answers are part of the result. */
export const COPY_OUTPUT_BYTES = 64 * 1024;

/** The copies of a new task; undefined unless it asks for several answers. */
export function newCopies({ output }: TaskInput, newId: () => string): Copy[] | undefined {
  return output.copies === undefined ? undefined : freshCopies(output.copies.count, newId);
}

function freshCopies(count: number, newId: () => string): Copy[] {
  return Array.from({ length: count }, () => ({ task_id: newId(), answer: null }));
}

/** The input of a copy. It does not show that it is a copy, and has no callback. */
export function copyInput(input: TaskInput): TaskInput {
  const { handoff: _handoff, metadata: _metadata, output, sla, ...rest } = input;
  const { copies: _copies, ...copyOutput } = output;
  const { urgency, deadline } = sla;
  const escalations = escalationsOfCopy(input);
  return {
    ...rest,
    sla: {
      urgency,
      ...(deadline !== undefined && { deadline }),
      ...(escalations !== undefined && { escalations }),
    },
    output: {
      ...copyOutput,
      ...(copyOutput.gold !== undefined && { gold: { ...copyOutput.gold, ...comparisonOf(input) } }),
      review: { mode: 'auto' },
    },
  };
}

/** The escalations of a copy: those of urgency and pool. Notifying members is done once, by the task. */
export function escalationsOfCopy({ sla }: TaskInput): Escalation[] | undefined {
  return sla.escalations?.flatMap(({ notify_members: _members, ...one }) =>
    one.urgency === undefined && one.worker_pool_id === undefined ? [] : [one],
  );
}

/** The answers so far, earliest first. */
export function answersOf({ copies = [] }: Task): Submission[] {
  const answers = copies.flatMap(({ answer }) => (answer === null ? [] : [answer]));
  return answers.sort((a, b) => a.submitted_at - b.submitted_at);
}

/** The ids of the copies that may still be completed. */
export function openCopies({ copies = [] }: Task): string[] {
  return copies.flatMap((one) => (one.answer === null && one.lost === undefined ? [one.task_id] : []));
}

/** Whether its worker sees it as one of several copies: it is one, or a gold task that came with such a task. */
export function isLikeCopy({ copy_of, gold }: Task): boolean {
  return copy_of !== undefined || gold?.like_copy === true;
}

/** How outputs of the task are compared with a known answer. */
export function comparisonOf({ output }: TaskInput): Comparison {
  const tolerance = output.gold?.tolerance ?? output.copies?.agreement.tolerance;
  return tolerance === undefined ? {} : { tolerance };
}

/**
 * The commands for a task after a change of one of its copies; none when nothing follows.
 * @param now ms; after the deadline no further copies are made.
 */
export function commandsAfter(
  task: Task,
  copy: Task,
  { now, newId }: { now: number; newId: () => string },
): Command[] {
  const { copies: copiesInput } = task.input.output;
  if (copiesInput === undefined || task.copies === undefined || isFinal(task.status)) return [];
  const commands = progress(task, copy);
  const open = openCopies(task).includes(copy.task_id);
  if (!isFinal(copy.status) || !open) return commands;
  const copies = task.copies.map((one) => (one.task_id === copy.task_id ? withOutcome(one, copy) : one));
  return [...commands, ...decideOutcome({ ...task, copies }, copiesInput, copies, { now, newId })];
}

/** Commands that bring the task to the copy's status (at most `started`) and record the copy's worker. */
function progress(task: Task, { assignment, offers }: Task): Command[] {
  if (assignment === null) return [];
  const { worker_id, offer_id } = assignment;
  const commands: Command[] = [];
  if (task.status === 'queued') {
    const expires_at = offers.find((one) => one.offer_id === offer_id)?.expires_at ?? assignment.accepted_at;
    commands.push(
      { name: 'match', worker_ids: [worker_id] },
      { name: 'offer', offers: [{ offer_id, worker_id, expires_at }] },
      { name: 'accept', offer_id, worker_id },
    );
  } else if (task.copies !== undefined && task.assigned_workers?.includes(worker_id) !== true)
    commands.push({ name: 'update_copies', copies: task.copies, worker_id });
  const isStarted = task.status === 'started' || task.status === 'submitted';
  if (assignment.started_at !== null && !isStarted) commands.push({ name: 'start', worker_id });
  return commands;
}

function withOutcome(copy: Copy, { status, submission, failure }: Task): Copy {
  return status === 'completed'
    ? { ...copy, answer: submission }
    : { ...copy, lost: failure?.code ?? 'rejected' };
}

/** The commands that follow from the answers. */
function decideOutcome(
  task: Task,
  { agreement: rule, count, max_count = count }: CopiesInput,
  copies: Copy[],
  { now, newId }: { now: number; newId: () => string },
): Command[] {
  const answers = answersOf(task);
  const outputs = answers.map((one) => one.output);
  const open = openCopies(task).length;
  const copyCount = copies.length;
  const deadline = dueAt(task, 'deadline');
  const maxCount = deadline !== null && deadline <= now ? copyCount : Math.max(copyCount, max_count);
  const found = verdict(rule, { answers: outputs, open, copyCount, maxCount });
  const update: Command = { name: 'update_copies', copies };
  switch (found.kind) {
    case 'wait':
      return [update];
    case 'needs_more':
      return [{ name: 'update_copies', copies: [...copies, ...freshCopies(found.more, newId)] }];
    case 'agreed':
      return [update, ...submit(task, answers[found.index]), { name: 'verify' }, { name: 'complete' }];
    case 'impossible': {
      const best = found.index === null ? undefined : answers[found.index];
      // A reviewer decides when no copy is open.
      if (task.input.output.review.mode === 'manual' && best !== undefined)
        return open > 0 ? [update] : [update, ...submit(task, best, false)];
      const agreement = agreementOf(rule, outputs, false);
      return [update, { name: 'disagree', agreement, ...reasonOf(copies, agreement.agreeing) }];
    }
  }
}

function submit(task: Task, answer: Submission | undefined, agreed = true): Command[] {
  const rule = task.input.output.copies?.agreement;
  if (answer === undefined || rule === undefined) throw new Error(`task ${task.task_id} has no answer`);
  const { worker_id, submitted_at: _at, ...submission } = answer;
  const outputs = answersOf(task).map((one) => one.output);
  return [{ name: 'submit', worker_id, submission, agreement: agreementOf(rule, outputs, agreed) }];
}

/** Why there is no agreement: the answers differ, or copies failed that might have agreed. */
function reasonOf(copies: readonly Copy[], agreeing: number): { code: FailureCode; message: string } {
  const answered = copies.filter((one) => one.answer !== null).length;
  const lost = copies.flatMap((one) => one.lost ?? []);
  const differ = answered > agreeing || lost.length === 0;
  const code = differ ? 'no_agreement' : lost.includes('deadline_exceeded') ? 'deadline_exceeded' : lost[0];
  const message = `${answered} of ${copies.length} copies were answered, and ${agreeing} of the answers agree.`;
  return { code: code ?? 'no_agreement', message };
}
