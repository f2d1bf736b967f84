// All routes of the API: the one table that the router, the scope checks, OpenAPI and the tests go by.

import type { Route } from '../route.ts';
import { apiKeyRoutes } from './api-keys.ts';
import { auditRoutes } from './audit.ts';
import { clockRoutes } from './clock.ts';
import { deadEntryRoutes } from './dead-entries.ts';
import { deliveryRoutes } from './deliveries.ts';
import { endpointRoutes } from './endpoints.ts';
import { eventStreamRoutes } from './event-streams.ts';
import { eventRoutes } from './events.ts';
import { evidenceRoutes } from './evidence.ts';
import { issuerRoutes } from './issuers.ts';
import { matchRoutes } from './match.ts';
import { memberRoutes } from './members.ts';
import { oauthClientRoutes } from './oauth-clients.ts';
import { orgRoutes } from './orgs.ts';
import { poolRoutes } from './pools.ts';
import { replayRoutes } from './replays.ts';
import { secretRoutes } from './secrets.ts';
import { taskBatchRoutes } from './task-batch.ts';
import { taskRoutes } from './tasks.ts';
import { humanRoutes } from './worker.ts';
import { workerRoutes } from './workers.ts';

export const ROUTES: readonly Route[] = [
  ...taskRoutes,
  ...taskBatchRoutes,
  ...matchRoutes,
  ...eventRoutes,
  ...eventStreamRoutes,
  ...poolRoutes,
  ...workerRoutes,
  ...humanRoutes,
  ...evidenceRoutes,
  ...apiKeyRoutes,
  ...endpointRoutes,
  ...replayRoutes,
  ...deliveryRoutes,
  ...oauthClientRoutes,
  ...issuerRoutes,
  ...memberRoutes,
  ...orgRoutes,
  ...secretRoutes,
  ...clockRoutes,
  ...deadEntryRoutes,
  ...auditRoutes,
];
