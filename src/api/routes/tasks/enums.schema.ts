// The sets of words that several schemas share; each is one named schema of the OpenAPI document.

import { EVENT_TYPES, STATUSES } from '../../../state/tasks/lifecycle.ts';
import { REPORT_REASONS } from '../../../state/tasks/report.ts';
import { DECISIONS, ORDERINGS, SLA_CLOCKS, URGENCIES } from '../../../state/tasks/task.ts';
import { ORG_EVENT_TYPES } from '../../../store/tasks/feed.ts';
import { word } from '../../http/schemas.ts';

export const TaskStatus = word(STATUSES, { $id: 'TaskStatus' });
export const Urgency = word(URGENCIES, { $id: 'Urgency' });
export const EventType = word(EVENT_TYPES, { $id: 'EventType' });
/** The types of the feed: also those of events of the org itself. */
export const FeedEventType = word([...EVENT_TYPES, ...ORG_EVENT_TYPES], { $id: 'FeedEventType' });
export const SlaClock = word(SLA_CLOCKS, { $id: 'SlaClock' });
export const ReviewDecision = word(DECISIONS, { $id: 'ReviewDecision' });
export const ReportReason = word(REPORT_REASONS, { $id: 'ReportReason' });
export const DeliveryOrdering = word(ORDERINGS, { $id: 'DeliveryOrdering' });
