// What a member may do to a task: the buttons, and the dialog of the chosen one.

import type { Task } from '@biolayer/sdk';
import { useState } from 'react';
import { Button, ButtonLink } from '../../shared/ui/button.tsx';
import { useMember } from '../member.tsx';
import { useTaskText } from '../messages.ts';
import { hasScope } from '../session.ts';
import { AssignDialog } from './assign-dialog.tsx';
import { CancelDialog, RequeueDialog, ResolveDialog } from './decision-dialogs.tsx';
import { EditDialog } from './edit-dialog.tsx';
import { isDisputed, isFinal, isInReview } from './task-facts.ts';

type Name = 'assign' | 'requeue' | 'edit' | 'cancel' | 'resolve';

const DIALOGS = {
  assign: AssignDialog,
  requeue: RequeueDialog,
  edit: EditDialog,
  cancel: CancelDialog,
  resolve: ResolveDialog,
};

/** The actions that the state of the task allows; the server decides all the same. */
function possible(task: Task, may: (scope: string) => boolean): Name[] {
  if (isDisputed(task)) return may('tasks:review') ? ['resolve'] : [];
  if (isFinal(task)) return [];
  const { status } = task;
  const names: Name[] = [];
  if (
    may('tasks:assign') &&
    ['created', 'queued', 'matched', 'offered', 'accepted', 'started'].includes(status)
  )
    names.push('assign');
  if (may('tasks:update')) names.push('edit');
  if (may('tasks:assign') && ['matched', 'offered', 'accepted', 'started', 'submitted'].includes(status))
    names.push('requeue');
  if (may('tasks:cancel') && status !== 'submitted' && status !== 'verified') names.push('cancel');
  return names;
}

export function TaskActions({ task }: { task: Task }) {
  const text = useTaskText();
  const member = useMember();
  const [open, setOpen] = useState<Name | null>(null);
  const names = possible(task, (scope) => hasScope(member, scope));
  const Chosen = open === null ? null : DIALOGS[open];
  return (
    <>
      {isInReview(task) && !isDisputed(task) && hasScope(member, 'tasks:review') && (
        <ButtonLink look="primary" icon="check" href={`/console/review?task=${task.task_id}`}>
          {text.outcome.review}
        </ButtonLink>
      )}
      {names.map((name) => (
        <Button key={name} onClick={() => setOpen(name)}>
          {text.actions[name]}
        </Button>
      ))}
      {Chosen !== null && <Chosen task={task} onClose={() => setOpen(null)} />}
    </>
  );
}
