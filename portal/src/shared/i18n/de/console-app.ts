// The catalogue of the console.

export { consoleApp } from './console.ts';
export { consoleAccess } from './console-access.ts';
export { consoleOrg } from './console-org.ts';
export { consoleOverview } from './console-overview.ts';
export { consoleReview } from './console-review.ts';
export { consoleTask } from './console-task.ts';
export { consoleTasks } from './console-tasks.ts';
export { consoleWebhooks } from './console-webhooks.ts';
export { consoleWorkers } from './console-workers.ts';
export { notices } from './notices.ts';
export { shared } from './shared.ts';
