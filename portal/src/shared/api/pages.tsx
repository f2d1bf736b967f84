// Lists of the API in the page: what is loaded so far, and a button for more.

import { useInfiniteQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useShared } from '../i18n/messages.tsx';
import { Button } from '../ui/button.tsx';
import { Skeleton } from '../ui/containers.tsx';
import { Problem } from '../ui/problem.tsx';

interface PageOf<Item> {
  data: Item[];
  next_cursor: string | null;
}

/** Which page of a list to load; the first without a cursor. */
export interface PageQuery {
  limit: number;
  cursor?: string;
}

const PAGE = 50;

export interface Paged<Item> {
  /** Undefined until the first page is there. */
  items: Item[] | undefined;
  error: unknown;
  hasMore: boolean;
  isLoadingMore: boolean;
  loadMore: () => void;
  reload: () => void;
}

/**
 * Loads a list page by page.
 * @param key of the cache, with all filters. @param load loads one page.
 * @param limit items of a page. @param refreshEvery ms, while the page is seen.
 */
export function usePaged<Item>(
  key: readonly unknown[],
  load: (page: PageQuery) => PromiseLike<PageOf<Item>>,
  {
    enabled = true,
    limit = PAGE,
    refreshEvery,
  }: { enabled?: boolean; limit?: number; refreshEvery?: number } = {},
): Paged<Item> {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: async ({ pageParam: cursor }) => load({ limit, ...(cursor !== undefined && { cursor }) }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    enabled,
    ...(refreshEvery !== undefined && { refetchInterval: refreshEvery }),
  });
  return {
    items: query.data?.pages.flatMap((page) => page.data),
    error: query.error,
    hasMore: query.hasNextPage,
    isLoadingMore: query.isFetchingNextPage,
    loadMore: () => void query.fetchNextPage(),
    reload: () => void query.refetch(),
  };
}

/** Shows a list once it is loaded. @param empty shown instead when there is nothing. */
export function PagedList<Item>({
  list,
  empty,
  children,
}: {
  list: Paged<Item>;
  empty: ReactNode;
  children: (items: Item[]) => ReactNode;
}) {
  const { more } = useShared();
  if (list.items === undefined)
    return list.error ? <Problem error={list.error} onRetry={list.reload} /> : <Skeleton lines={6} />;
  return (
    <div className="stack">
      {list.error ? <Problem error={list.error} onRetry={list.reload} /> : null}
      {list.items.length === 0 ? empty : children(list.items)}
      {list.hasMore && (
        <div>
          <Button busy={list.isLoadingMore} onClick={list.loadMore}>
            {more}
          </Button>
        </div>
      )}
    </div>
  );
}
