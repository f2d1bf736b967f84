// Roles of members: names for sets of scopes. A member keeps the scopes; the role says where they came from.

import type { Scope } from './principal.ts';

export const ROLE_NAMES = ['owner', 'manager', 'reviewer', 'viewer'] as const;
export type Role = (typeof ROLE_NAMES)[number];

const VIEWER: readonly Scope[] = [
  'tasks:read',
  'messages:read',
  'types:read',
  'stats:read',
  'events:read',
  'pools:read',
  'workers:read',
  'org:read',
];
const REVIEWER: readonly Scope[] = [...VIEWER, 'tasks:review', 'messages:write'];
const MANAGER: readonly Scope[] = [
  ...REVIEWER,
  'tasks:create',
  'tasks:cancel',
  'tasks:update',
  'tasks:assign',
  'types:write',
  'pools:write',
  'workers:write',
  'webhooks:read',
  'members:read',
  'audit:read',
];

/** The scopes of each role; `*` for all, also those of later versions. */
const ROLES: Readonly<Record<Role, readonly (Scope | '*')[]>> = {
  owner: ['*'],
  manager: MANAGER,
  reviewer: REVIEWER,
  viewer: VIEWER,
};

/** The scopes that a member gets: those of the role and the named ones. */
export function scopesWith(role: Role | undefined, named: readonly (Scope | '*')[] = []): (Scope | '*')[] {
  return [...new Set([...(role === undefined ? [] : ROLES[role]), ...named])];
}
