// Actions on many tasks: who may take them, and the body of the request.

import type { BulkAction, CreateBulkActionRequest, Urgency } from '@biolayer/sdk';

export type Action = CreateBulkActionRequest['action'];

/** First part of the keys of queries about them. */
export const BULK_KEY = ['bulk-actions'];

/** The scope of each action, as the API requires it. */
const SCOPES: Readonly<Record<Action, string>> = {
  cancel: 'tasks:cancel',
  requeue: 'tasks:assign',
  update: 'tasks:update',
  approve: 'tasks:review',
  reject: 'tasks:review',
};

/** The actions that a person may take. */
export function actionsOf(may: (scope: string) => boolean): readonly Action[] {
  return (Object.keys(SCOPES) as Action[]).filter((action) => may(SCOPES[action]));
}

export function isRunning({ status }: BulkAction): boolean {
  return status === 'pending' || status === 'running';
}

/** What a person enters. */
export interface Draft {
  action: Action;
  /** Reason or feedback. */
  words: string;
  /** Empty: unchanged. */
  urgency: string;
  /** Local date and time; empty: unchanged. */
  deadline: string;
}

/** Which field is missing; null for none. */
export function missingField({ action, words, urgency, deadline }: Draft): 'words' | 'urgency' | null {
  if (action === 'update') return urgency === '' && deadline === '' ? 'urgency' : null;
  return (action === 'requeue' || action === 'reject') && words.trim() === '' ? 'words' : null;
}

/** The body of the request, without the tasks. */
export function bodyOf({ action, words, urgency, deadline }: Draft) {
  const given = words.trim();
  switch (action) {
    case 'cancel':
      return { action, ...(given !== '' && { reason: given }) };
    case 'requeue':
      return { action, reason: given };
    case 'update':
      return {
        action,
        changes: {
          sla: {
            ...(urgency !== '' && { urgency: urgency as Urgency }),
            ...(deadline !== '' && { deadline: new Date(deadline).toISOString() }),
          },
        },
      };
    case 'approve':
      return { action, ...(given !== '' && { feedback: given }) };
    default:
      return { action, feedback: given };
  }
}

/** A body for a dry run that counts the tasks of an action. Its parameters only have to be valid; they are not used. */
export function countable(action: Action): ReturnType<typeof bodyOf> {
  return bodyOf({ action, words: '-', urgency: 'normal', deadline: '' });
}
