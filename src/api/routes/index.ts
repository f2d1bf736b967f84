// All routes of the API in one table, which the router, the scope checks, the OpenAPI document and the tests use.

import type { Route } from '../route.ts';
import { auditRoutes } from './audit/audit.ts';
import { bulkActionRoutes } from './bulk/bulk-actions.ts';
import { adminOrgRoutes } from './identity/admin-orgs.ts';
import { apiKeyRoutes } from './identity/api-keys.ts';
import { consoleSessionRoutes } from './identity/console-session.ts';
import { issuerRoutes } from './identity/issuers.ts';
import { memberSessionRoutes } from './identity/member-sessions.ts';
import { memberRoutes } from './identity/members.ts';
import { oauthClientRoutes } from './identity/oauth-clients.ts';
import { orgRoutes } from './identity/orgs.ts';
import { notificationChannelRoutes } from './notifications/channels.ts';
import { confirmationRoutes } from './notifications/confirmation.ts';
import { noticeRoutes } from './notifications/notices.ts';
import { clockRoutes } from './ops/clock.ts';
import { deadEntryRoutes } from './ops/dead-entries.ts';
import { diagnosisRoutes } from './ops/diagnosis.ts';
import { secretRoutes } from './ops/secrets.ts';
import { deliveryStatsRoutes } from './stats/delivery-stats.ts';
import { statsRoutes } from './stats/stats.ts';
import { disputeRoutes } from './tasks/disputes.ts';
import { eventRoutes } from './tasks/events.ts';
import { evidenceRoutes } from './tasks/evidence.ts';
import { messageRoutes } from './tasks/messages.ts';
import { supervisionRoutes } from './tasks/supervision.ts';
import { taskBatchRoutes } from './tasks/task-batch.ts';
import { taskTypeVersionRoutes } from './tasks/task-type-versions.ts';
import { taskTypeRoutes } from './tasks/task-types.ts';
import { taskRoutes } from './tasks/tasks.ts';
import { deliveryRoutes } from './webhooks/deliveries.ts';
import { deliveryStopRoutes } from './webhooks/delivery-stops.ts';
import { endpointRoutes } from './webhooks/endpoints.ts';
import { redeliveryRoutes } from './webhooks/redeliveries.ts';
import { replayRoutes } from './webhooks/replays.ts';
import { callingWorkerRoutes } from './workers/calling-worker.ts';
import { eventStreamRoutes } from './workers/event-streams.ts';
import { matchRoutes } from './workers/match.ts';
import { poolRoutes } from './workers/pools.ts';
import { workerDisputeRoutes } from './workers/worker-disputes.ts';
import { workerDraftRoutes } from './workers/worker-drafts.ts';
import { workerHistoryRoutes } from './workers/worker-history.ts';
import { workerMessageRoutes } from './workers/worker-messages.ts';
import { workerOfferRoutes } from './workers/worker-offers.ts';
import { workerReportRoutes } from './workers/worker-reports.ts';
import { workerSessionRoutes } from './workers/worker-session.ts';
import { workerSignInRoutes } from './workers/worker-sign-in.ts';
import { workerTaskRoutes } from './workers/worker-tasks.ts';
import { workerTokenRoutes } from './workers/worker-tokens.ts';
import { workerRoutes } from './workers/workers.ts';

export const ROUTES: readonly Route[] = [
  ...taskRoutes,
  ...supervisionRoutes,
  ...bulkActionRoutes,
  ...taskBatchRoutes,
  ...taskTypeRoutes,
  ...taskTypeVersionRoutes,
  ...matchRoutes,
  ...eventRoutes,
  ...eventStreamRoutes,
  ...poolRoutes,
  ...workerRoutes,
  ...workerTokenRoutes,
  ...workerSignInRoutes,
  ...workerSessionRoutes,
  ...callingWorkerRoutes,
  ...workerOfferRoutes,
  ...workerTaskRoutes,
  ...workerHistoryRoutes,
  ...workerDraftRoutes,
  ...notificationChannelRoutes,
  ...confirmationRoutes,
  ...noticeRoutes,
  ...messageRoutes,
  ...workerMessageRoutes,
  ...workerReportRoutes,
  ...disputeRoutes,
  ...workerDisputeRoutes,
  ...evidenceRoutes,
  ...apiKeyRoutes,
  ...endpointRoutes,
  ...replayRoutes,
  ...deliveryRoutes,
  ...redeliveryRoutes,
  ...deliveryStopRoutes,
  ...oauthClientRoutes,
  ...issuerRoutes,
  ...memberRoutes,
  ...memberSessionRoutes,
  ...consoleSessionRoutes,
  ...adminOrgRoutes,
  ...orgRoutes,
  ...secretRoutes,
  ...clockRoutes,
  ...diagnosisRoutes,
  ...deadEntryRoutes,
  ...auditRoutes,
  ...statsRoutes,
  ...deliveryStatsRoutes,
];
