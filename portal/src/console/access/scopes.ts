// The permissions that credentials and members can have.

import type { CreateApiKeyRequest } from '@biolayer/sdk';
import type { ConsoleSession } from '../session.ts';

export type Scope = Exclude<CreateApiKeyRequest['scopes'][number], '*'>;

/** All of them by subject, in the order in which they are shown. A scope that is missing here is an error of types. */
const ALL: Readonly<Record<Scope, true>> = {
  'tasks:read': true,
  'tasks:create': true,
  'tasks:update': true,
  'tasks:assign': true,
  'tasks:cancel': true,
  'tasks:review': true,
  'messages:read': true,
  'messages:write': true,
  'types:read': true,
  'types:write': true,
  'workers:read': true,
  'workers:write': true,
  'pools:read': true,
  'pools:write': true,
  'stats:read': true,
  'events:read': true,
  'webhooks:read': true,
  'webhooks:write': true,
  'keys:read': true,
  'keys:write': true,
  'members:read': true,
  'members:write': true,
  'oauth:read': true,
  'oauth:write': true,
  'org:read': true,
  'org:write': true,
  'audit:read': true,
};
export const SCOPES = Object.keys(ALL) as readonly Scope[];

/** Those that a member may give to others: their own. */
export function grantableBy({ scopes }: ConsoleSession): readonly Scope[] {
  return scopes.includes('*') ? SCOPES : SCOPES.filter((one) => scopes.includes(one));
}
