// Schemas of the numbers of an org.

import Type from 'typebox';
import { DIMENSIONS } from '../../../state/stats/tally.ts';
import { OPEN } from '../../../state/tasks/filters.ts';
import { MAX_DOMAINS } from '../../../store/stats/open-tasks.ts';
import { closed, count, described, label, nullable, Timestamp, time, word } from '../../http/schemas.ts';

export const INTERVALS = ['hour', 'day'] as const;

const RangeQuery = {
  from: Type.Optional(
    described(Timestamp, 'Start of the range; default: a day before its end by hour, 30 days by day'),
  ),
  to: Type.Optional(described(Timestamp, 'End of the range, exclusive; default: now')),
  interval: Type.Optional(word(INTERVALS, { default: 'day', description: 'Length of time of one row' })),
};

export const StatsQuery = closed({
  ...RangeQuery,
  group_by: Type.Optional(word(DIMENSIONS, { description: 'One row for each value of this' })),
});
export const DeliveryStatsQuery = closed(RangeQuery);

const seconds = (what: string) =>
  nullable(Type.Number({ minimum: 0, description: `${what}, seconds; null without any` }));
const Times = (description: string) =>
  Type.Object(
    {
      count: count('Number of times'),
      p50: seconds('Half of them took no longer'),
      p90: seconds('90 % took no longer'),
      p99: seconds('99 % took no longer'),
    },
    { $id: 'DurationStats', description },
  );

const numbers = {
  group: nullable(label('Value of `group_by`; null without `group_by` and for tasks that have none')),
  is_other: Type.Boolean({
    description: 'Sums up the values beyond the 100 groups of an answer and beyond the 200 values of a day',
  }),
  created: nullable(Type.Integer({ minimum: 0, description: 'Null when grouped by worker' })),
  completed: count('Tasks that completed'),
  failed: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
    description: 'Tasks that failed, by `failure.code`',
  }),
  cancelled: count('Tasks that were cancelled'),
  breached: Type.Object(
    { target_latency: count('Breached target latencies'), deadline: count('Breached deadlines') },
    { $id: 'BreachStats', description: 'Breached clocks' },
  ),
  waiting_seconds: Times('From the creation to the first acceptance; counted when the task was accepted'),
  handling_seconds: Times('From the start to a submission; counted at each submission'),
  total_seconds: Times('From the creation to the end; counted when the task ended'),
};

const StatsRow = Type.Object(
  { start: time('Start of the hour or day'), ...numbers },
  { $id: 'StatsRow', description: 'The numbers of an hour or a day' },
);
const StatsTotal = Type.Object(numbers, {
  $id: 'StatsTotal',
  description: 'The numbers of the whole range',
});

export const StatsView = Type.Object(
  {
    interval: word(INTERVALS, { description: 'Length of time of one row' }),
    group_by: nullable(word(DIMENSIONS, { description: 'What the rows are grouped by; null for nothing' })),
    from: time('Start of the range'),
    to: time('End of the range, exclusive'),
    totals: Type.Array(StatsTotal, { description: 'The whole range, one row for each group' }),
    data: Type.Array(StatsRow, {
      description: 'One row for each hour or day; with `group_by` one for each group that has any number',
    }),
  },
  { $id: 'Stats', description: 'Numbers of tasks and times' },
);

const deliveryNumbers = {
  succeeded: count('Deliveries that succeeded'),
  retried: count('Failed attempts after which another one follows'),
  exhausted: count('Deliveries that were given up: their retries are used up, or the receiver answered 410'),
};

export const DeliveryStatsView = Type.Object(
  {
    interval: word(INTERVALS, { description: 'Length of time of one row' }),
    from: time('Start of the range'),
    to: time('End of the range, exclusive'),
    totals: Type.Object(deliveryNumbers, {
      $id: 'DeliveryStatsTotal',
      description: 'The numbers of the whole range',
    }),
    data: Type.Array(
      Type.Object(
        { start: time('Start of the hour or day'), ...deliveryNumbers },
        { $id: 'DeliveryStatsRow', description: 'The numbers of an hour or a day' },
      ),
      { description: 'One row for each hour or day' },
    ),
  },
  { $id: 'DeliveryStats', description: 'Numbers of deliveries and their attempts' },
);

const GroupCount = Type.Object(
  {
    group: label('The urgency or domain'),
    count: count('Open tasks'),
    is_exact: Type.Boolean({ description: 'Whether that is all of them; false: at least so many' }),
  },
  { $id: 'OpenTaskGroup', description: 'Open tasks with the same value' },
);

export const OpenTasksView = Type.Object(
  {
    at: time('When they were counted'),
    status: Type.Object(
      Object.fromEntries(OPEN.map((status) => [status, count(`Tasks that are ${status}`)])),
      {
        $id: 'OpenTaskStatuses',
        description: 'Open tasks by state',
      },
    ),
    in_review: count('Tasks on which a reviewer has to decide'),
    overdue: count('Open tasks with a breached clock'),
    has_open_question: count('Tasks with a question that waits for its answer'),
    by_urgency: Type.Array(GroupCount, { description: 'Open tasks of each urgency, the lowest first' }),
    by_domain: Type.Array(GroupCount, {
      maxItems: MAX_DOMAINS,
      description: `Open tasks of the domains that were used last, at most ${MAX_DOMAINS}, the largest first`,
    }),
  },
  { $id: 'OpenTasks', description: 'Numbers of open tasks' },
);
