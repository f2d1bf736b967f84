// Shows what a query has loaded, or why it could not.

import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Skeleton } from '../ui/containers.tsx';
import { Problem } from '../ui/problem.tsx';

export function Loaded<T>({
  query,
  lines = 3,
  children,
}: {
  query: UseQueryResult<T>;
  /** Height of what stands for it meanwhile. */
  lines?: number;
  children: (value: T) => ReactNode;
}) {
  if (query.data !== undefined)
    return (
      <>
        {query.isRefetchError && <Problem error={query.error} onRetry={() => void query.refetch()} />}
        {children(query.data)}
      </>
    );
  if (query.isError) return <Problem error={query.error} onRetry={() => void query.refetch()} />;
  return <Skeleton lines={lines} />;
}
