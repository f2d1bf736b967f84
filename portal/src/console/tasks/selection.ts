// Which tasks of the list are selected: some of the page, or all that match the filters.

import type { Task } from '@biolayer/sdk';
import { useState } from 'react';

export interface Selection {
  ids: ReadonlySet<string>;
  /** All tasks that match the filters, also those of other pages. */
  isAllMatching: boolean;
  isUsed: boolean;
  toggle: (id: string) => void;
  togglePage: (tasks: readonly Task[]) => void;
  selectMatching: () => void;
  clear: () => void;
}

export function useSelection(): Selection {
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  const [isAllMatching, setAllMatching] = useState(false);
  const set = (next: Iterable<string>) => {
    setAllMatching(false);
    setIds(new Set(next));
  };
  return {
    ids,
    isAllMatching,
    isUsed: ids.size > 0,
    toggle: (id) => set(ids.has(id) ? [...ids].filter((one) => one !== id) : [...ids, id]),
    togglePage: (tasks) => {
      const isWhole = tasks.every(({ task_id }) => ids.has(task_id));
      set(isWhole ? [] : tasks.map(({ task_id }) => task_id));
    },
    selectMatching: () => setAllMatching(true),
    clear: () => set([]),
  };
}
