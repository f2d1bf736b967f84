// Members of the org.

import type { Member } from '@biolayer/sdk';
import { api } from '../../shared/api/client.ts';
import { usePaged } from '../../shared/api/pages.tsx';
import { queries } from '../../shared/api/queries.tsx';
import { type Versioned, versioned } from '../../shared/api/versioned.ts';
import type { ConsoleSession } from '../session.ts';

const ROLES = ['viewer', 'reviewer', 'manager', 'owner'] as const;
export type Role = (typeof ROLES)[number];

/** Roles that a member may give: an owner may do everything, so only someone who may do so can make one. */
export function rolesOfferedTo({ scopes }: ConsoleSession): readonly Role[] {
  return scopes.includes('*') ? ROLES : ROLES.filter((role) => role !== 'owner');
}

export function useMembers() {
  return usePaged<Member>(['members'], (page) => api.members.list(page));
}

export function readMember(id: string): Promise<Versioned<Member>> {
  return versioned((client) => client.members.get(id));
}

export function renewMembers(): Promise<void> {
  return queries.invalidateQueries({ queryKey: ['members'] });
}

/** A password of 120 random bits, which is given to the member by hand. */
export function newPassword(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(15));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_');
}
