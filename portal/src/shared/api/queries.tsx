// The cache of what the API answers (TanStack Query). Data is shown at once and renewed behind it; a passing fault, such as a
// restart of the server, is retried until it is over.

import { ApiError } from '@biolayer/sdk';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { isPassing } from './client.ts';

const LONGEST_PAUSE = 15_000;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      // The SDK repeats a request a few times itself.
      retry: (failures, error) => isPassing(error) && failures < 40,
      retryDelay: (failures) => Math.min(1000 * 2 ** failures, LONGEST_PAUSE),
      throwOnError: false,
    },
    mutations: { retry: false },
  },
});

export function QueriesProvider({ children }: { children: ReactNode }) {
  return <QueryClientProvider client={queries}>{children}</QueryClientProvider>;
}

/** Whether an error says that there is no such thing, or that it is someone else's. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}
