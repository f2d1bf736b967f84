// Schemas of the numbers of an org.

import Type from 'typebox';
import { DIMENSIONS } from '../../../state/stats/tally.ts';
import { closed, described, nullable, Timestamp, word } from '../../http/schemas.ts';

export const INTERVALS = ['hour', 'day'] as const;

export const StatsQuery = closed({
  from: Type.Optional(
    described(Timestamp, 'Start of the range; default: a day before its end by hour, 30 days by day'),
  ),
  to: Type.Optional(described(Timestamp, 'End of the range, exclusive; default: now')),
  interval: Type.Optional(word(INTERVALS, { default: 'day', description: 'Length of time of one row' })),
  group_by: Type.Optional(word(DIMENSIONS, { description: 'One row for each value of this' })),
});

const Count = Type.Integer({ minimum: 0 });
const Seconds = nullable(Type.Number({ description: 'Seconds; null without any' }));
const Times = (description: string) =>
  Type.Object({ count: Count, p50: Seconds, p90: Seconds, p99: Seconds }, { description });

const numbers = {
  group: nullable(
    Type.String({ description: 'Value of `group_by`; null without `group_by` and for tasks that have none' }),
  ),
  is_other: Type.Boolean({
    description: 'Sums up the values beyond the 100 groups of an answer and beyond the 200 values of a day',
  }),
  created: nullable(Type.Integer({ minimum: 0, description: 'Null when grouped by worker' })),
  completed: Count,
  failed: Type.Record(Type.String(), Count, { description: 'By `failure.code`' }),
  cancelled: Count,
  breached: Type.Object({ target_latency: Count, deadline: Count }),
  waiting_seconds: Times('From the creation to the first acceptance; counted when the task was accepted'),
  handling_seconds: Times('From the start to a submission; counted at each submission'),
  total_seconds: Times('From the creation to the end; counted when the task ended'),
};

const StatsRow = Type.Object({ start: Timestamp, ...numbers }, { $id: 'StatsRow' });
const StatsTotal = Type.Object(numbers, { $id: 'StatsTotal' });

export const StatsView = Type.Object(
  {
    interval: word(INTERVALS),
    group_by: nullable(word(DIMENSIONS)),
    from: Timestamp,
    to: Timestamp,
    totals: Type.Array(StatsTotal, { description: 'The whole range, one row for each group' }),
    data: Type.Array(StatsRow, {
      description: 'One row for each hour or day; with `group_by` one for each group that has any number',
    }),
  },
  { $id: 'Stats' },
);
