// Views: named filters. Some are built in; a person saves others in this browser, for each org.

import { useState } from 'react';
import type { consoleTasks } from '../../shared/i18n/en/console-tasks.ts';

export interface SavedView {
  name: string;
  /** Query of the address. */
  search: string;
}

/** Views that everyone has, with the query of their address. */
export const BUILT_IN: readonly (readonly [keyof typeof consoleTasks.views, string])[] = [
  ['all', ''],
  ['waiting', 'status=queued,matched,offered'],
  ['atWork', 'status=accepted,started'],
  ['inReview', 'in_review=true&order=asc'],
  ['overdue', 'overdue=true'],
  ['questions', 'has_open_question=true'],
];

const MOST = 30;
const LONGEST_NAME = 60;

function read(key: string): SavedView[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(key) ?? '[]');
    if (!Array.isArray(stored)) return [];
    return stored.filter(isView).slice(0, MOST);
  } catch {
    return [];
  }
}

function isView(one: unknown): one is SavedView {
  return (
    typeof one === 'object' &&
    one !== null &&
    'name' in one &&
    typeof one.name === 'string' &&
    'search' in one &&
    typeof one.search === 'string'
  );
}

/** The views of the person, and how to change them. A view with the name of another replaces it. */
export function useSavedViews(orgId: string) {
  const key = `biolayer-views-${orgId}`;
  const [views, setViews] = useState(() => read(key));
  const store = (next: SavedView[]) => {
    localStorage.setItem(key, JSON.stringify(next));
    setViews(next);
  };
  return {
    views,
    save: (name: string, search: string) => {
      const short = name.trim().slice(0, LONGEST_NAME);
      store([...views.filter((one) => one.name !== short), { name: short, search }].slice(-MOST));
    },
    remove: (name: string) => store(views.filter((one) => one.name !== name)),
  };
}
