// The worker's session: who is signed in, and how to sign in and out.

import { ApiError } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { call } from '../shared/api/client.ts';
import { queries } from '../shared/api/queries.tsx';

const PATH = '/v1/worker/session';

export interface WorkerSession {
  worker_id: string;
  name: string;
  org_id: string;
  expires_at: string;
}

/** What signs a worker in: the token of a sign-in link, which works once, or a worker token. */
export type Proof = { link: string } | { token: string };

const KEY = ['worker-session'];

/** @returns the session; null when nobody is signed in */
async function loadSession(): Promise<WorkerSession | null> {
  try {
    return (await call('GET', PATH)) as WorkerSession;
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null;
    throw error;
  }
}

export function useSession() {
  return useQuery({ queryKey: KEY, queryFn: loadSession, staleTime: 5 * 60_000 });
}

/** @throws ApiError 401 when the link has been used or has expired, or the token is not valid */
export async function signIn(proof: Proof): Promise<void> {
  const session = await call('POST', PATH, proof);
  queries.clear();
  queries.setQueryData(KEY, session);
}

export async function signOut(): Promise<void> {
  await call('DELETE', PATH);
  queries.clear();
}

export async function hasSession(): Promise<boolean> {
  return (await loadSession()) !== null;
}
