// The catalogue of the console.

export { consoleApp } from './console.ts';
export { consoleAccess } from './console-access.ts';
export { consoleAdmin } from './console-admin.ts';
export { consoleOrg } from './console-org.ts';
export { consoleWebhooks } from './console-webhooks.ts';
export { consoleWorkers } from './console-workers.ts';
export { shared } from './shared.ts';
