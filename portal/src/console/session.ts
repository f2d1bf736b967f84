// The member's session: who is signed in to the console, and what they may do.

import { ApiError } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { call } from '../shared/api/client.ts';
import { queries } from '../shared/api/queries.tsx';

const PATH = '/console/session';

export interface ConsoleSession {
  member_id: string;
  email: string;
  name?: string;
  org_id: string;
  org_name: string;
  /** Name of a set of scopes; null for scopes of their own. */
  role: string | null;
  scopes: string[];
  /** `["*"]`, or the pools that the member may see. */
  pools: string[];
  expires_at: string;
}

const KEY = ['console-session'];

/** @returns the session; null when nobody is signed in */
async function loadSession(): Promise<ConsoleSession | null> {
  try {
    return (await call('GET', PATH)) as ConsoleSession;
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null;
    throw error;
  }
}

export function useSession() {
  return useQuery({ queryKey: KEY, queryFn: loadSession, staleTime: 5 * 60_000 });
}

/** Signs in with the token of a link, which works once. @throws ApiError 401 when it has been used or has expired */
export async function signInByLink(link: string): Promise<void> {
  await call('POST', PATH, { link });
  queries.clear();
}

export async function signOut(): Promise<void> {
  await call('DELETE', PATH);
  queries.clear();
}

export async function hasSession(): Promise<boolean> {
  return (await loadSession()) !== null;
}

/** Where the authorization server asks for e-mail and password. @param returnTo path of the page to show then. */
export function signInUrl(returnTo: string): string {
  return `/console/sign-in?${new URLSearchParams({ return_to: returnTo })}`;
}

/** Whether a session has a scope. */
export function hasScope(session: ConsoleSession, scope: string): boolean {
  return session.scopes.includes('*') || session.scopes.includes(scope);
}
