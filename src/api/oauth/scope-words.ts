// What each scope permits, in words for the person who is asked to grant it.

import type { Scope } from '../access/principal.ts';

const WORDS: Readonly<Record<Scope, string>> = {
  'tasks:create': 'Create tasks',
  'tasks:read': 'See tasks, their results and evidence',
  'tasks:cancel': 'Cancel tasks',
  'tasks:review': 'Review submissions and decide disputes',
  'tasks:update': 'Change deadlines, urgency and requirements of tasks',
  'tasks:assign': 'Assign tasks to workers and take them back',
  'messages:read': 'Read messages between workers and your team',
  'messages:write': 'Send messages to workers',
  'types:read': 'See task types',
  'types:write': 'Change task types',
  'stats:read': 'See statistics',
  'events:read': 'Follow everything that happens to tasks',
  'webhooks:read': 'See webhook endpoints and deliveries',
  'webhooks:write': 'Change webhook endpoints, their secrets and deliveries',
  'pools:read': 'See worker pools',
  'pools:write': 'Change worker pools',
  'workers:read': 'See workers',
  'workers:write': 'Change workers and create their access tokens',
  'keys:read': 'See API keys, without the keys themselves',
  'keys:write': 'Create and revoke API keys',
  'org:read': 'See the settings of the organisation',
  'org:write': 'Change the settings of the organisation',
  'audit:read': 'Read and export the audit log',
  'members:read': 'See the members of the organisation',
  'members:write': 'Add, change and remove members',
  'oauth:read': 'See connected applications',
  'oauth:write': 'Change connected applications',
};

/** The scope in words; itself for one that this version does not know. */
export function inWords(scope: string): string {
  if (scope === '*') return 'Do everything that you may do';
  return Object.hasOwn(WORDS, scope) ? WORDS[scope as Scope] : scope;
}
