// The sets of words that several schemas share; each is one named schema of the OpenAPI document.

import { EVENT_TYPES, STATUSES } from '../../../state/tasks/lifecycle.ts';
import { REPORT_REASONS } from '../../../state/tasks/report.ts';
import { DECISIONS, ORDERINGS, SLA_CLOCKS, URGENCIES } from '../../../state/tasks/task.ts';
import { ORG_EVENT_TYPES } from '../../../store/tasks/feed.ts';
import { word } from '../../http/schemas.ts';

export const TaskStatus = word(STATUSES, {
  $id: 'TaskStatus',
  description: 'State of a task',
});
export const Urgency = word(URGENCIES, {
  $id: 'Urgency',
  description:
    'Urgency of a task, by which waiting tasks are matched first; it also sets how long offers last',
});
export const EventType = word(EVENT_TYPES, {
  $id: 'EventType',
  description: 'Type of an event of a task',
});
/** The types of the feed: also those of events of the org itself. */
export const FeedEventType = word([...EVENT_TYPES, ...ORG_EVENT_TYPES], {
  $id: 'FeedEventType',
  description: 'Type of an event of a task or of the org',
});
export const SlaClock = word(SLA_CLOCKS, {
  $id: 'SlaClock',
  description: 'A clock of the SLA: `target_latency` or `deadline`',
});
export const ReviewDecision = word(DECISIONS, {
  $id: 'ReviewDecision',
  description: 'What the reviewer decides',
});
export const ReportReason = word(REPORT_REASONS, {
  $id: 'ReportReason',
  description: 'Why the worker cannot or will not do the task',
});
export const DeliveryOrdering = word(ORDERINGS, {
  $id: 'DeliveryOrdering',
  description:
    '`per_task`: an event waits until the earlier events of its task are delivered or given up, or the earliest has failed for an hour. `none`: every event is sent at once',
});
