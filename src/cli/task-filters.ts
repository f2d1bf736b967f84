// Flags that choose tasks: of the list, and of bulk actions.

import type { Task, Urgency } from '@biolayer/sdk';
import { type Command, Option } from 'commander';
import { URGENCIES } from '../state/tasks/task.ts';
import { collect } from './flags.ts';

export interface FilterFlags {
  status?: Task['status'][];
  domain?: string[];
  urgency?: Urgency[];
  pool?: string[];
  taskType?: string[];
  product?: string[];
  requestId?: string[];
  assignedTo?: string[];
  overdue?: true;
  hasOpenQuestion?: true;
  inReview?: true;
  gold?: true;
  createdAfter?: string;
  createdBefore?: string;
}

/** Adds the flags. */
export function addFilterFlags(command: Command): Command {
  return command
    .option('--status <status>', 'such as queued', collect)
    .option('--domain <domain>', 'such as security', collect)
    .addOption(new Option('--urgency <urgency>', URGENCIES.join(', ')).argParser(collect))
    .option('--pool <pool_id>', 'required pool', collect)
    .option('--task-type <type>', 'such as verification', collect)
    .option('--product <product>', 'product of their origin', collect)
    .option('--request-id <id>', 'request id of their origin', collect)
    .option('--assigned-to <worker_id>', 'who has or had them last', collect)
    .option('--overdue', 'open, with a breached SLA clock')
    .option('--has-open-question', 'that wait for an answer')
    .option('--in-review', 'that wait for a reviewer')
    .option('--gold', 'with a known answer, mixed among the real ones')
    .option('--created-after <time>', 'RFC 3339')
    .option('--created-before <time>', 'RFC 3339');
}

/** The filters that were given, as the API names them; those that were not are undefined. */
export function filtersOf(flags: FilterFlags) {
  const { status, domain, urgency, pool, product, overdue, gold } = flags;
  return {
    ...{ status, domain, urgency, pool, product, overdue, gold },
    task_type: flags.taskType,
    request_id: flags.requestId,
    assigned_to: flags.assignedTo,
    has_open_question: flags.hasOpenQuestion,
    in_review: flags.inReview,
    created_after: flags.createdAfter,
    created_before: flags.createdBefore,
  };
}
