// How deliveries went in each hour or day.

import { timestamp } from '../../../state/text/time.ts';
import type { DeliveryCounts } from '../../../store/stats/delivery-counts.ts';
import { loadDeliveryCounts } from '../../../store/stats/delivery-counts.ts';
import { ApiError } from '../../http/problem.ts';
import { route, scope } from '../../route.ts';
import { rangeOf } from './range.ts';
import { DeliveryStatsQuery, DeliveryStatsView } from './stats.schema.ts';

export const deliveryStatsRoutes = [
  route({
    method: 'GET',
    path: '/v1/stats/deliveries',
    access: scope('stats:read'),
    tag: 'Stats',
    operationId: 'getDeliveryStats',
    summary: 'Count the attempts of deliveries',
    description:
      'By hour or day (UTC); by default the last day or the last 30 days. Only for credentials that see all pools.',
    query: DeliveryStatsQuery,
    responses: { 200: { description: 'The numbers, oldest first', schema: DeliveryStatsView } },
    errors: ['pool_forbidden'],
    async handler({ deps: { db }, principal, query }) {
      if (!principal.pools.includes('*'))
        throw new ApiError('pool_forbidden', 'A key for some pools cannot count deliveries.');
      const { interval = 'day' } = query;
      const range = rangeOf(interval, query.from, query.to, db.clock.now());
      const rows = await loadDeliveryCounts(db, principal.org_id, range);
      const total = (name: keyof DeliveryCounts) => rows.reduce((sum, { counts }) => sum + counts[name], 0);
      return {
        status: 200,
        body: {
          interval,
          from: timestamp(range.from),
          to: timestamp(range.to),
          totals: { succeeded: total('succeeded'), retried: total('retried'), exhausted: total('exhausted') },
          data: rows.map(({ start, counts }) => ({ start: timestamp(start), ...counts })),
        },
      };
    },
  }),
];
