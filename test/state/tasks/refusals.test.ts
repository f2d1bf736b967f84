// The sentences with which commands are refused.
import { expect, it } from 'vitest';
import { COMMANDS } from '../../../src/state/tasks/lifecycle.ts';
import { illegal } from '../../../src/state/tasks/refusals.ts';
import type { Task } from '../../../src/state/tasks/task.ts';

const completed = { status: 'completed' } as Task;

it('says in words what a task in this state cannot do', () => {
  expect(illegal(completed, 'message').message).toBe('A task that is completed cannot take messages.');
  expect(illegal(completed, 'approve').message).toBe('A task that is completed cannot be approved.');
  for (const command of COMMANDS) expect(illegal(completed, command).message).toMatch(/^A task .*[a-z]\.$/);
});
