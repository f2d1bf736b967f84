// The filters of the list of tasks, as they stand in the address of the page: the names and values of the API, so that an
// address can be read, shared and saved. Values that the API would refuse are left out.

import type { ListTasksQuery, TaskStatus, Urgency } from '@biolayer/sdk';

/** All of them, in the order of the life of a task. */
export const STATUSES = [
  'created',
  'queued',
  'matched',
  'offered',
  'accepted',
  'started',
  'submitted',
  'verified',
  'completed',
  'failed',
  'cancelled',
] as const satisfies readonly TaskStatus[];
export const URGENCIES = ['low', 'normal', 'high', 'critical'] as const satisfies readonly Urgency[];
export const FLAGS = ['overdue', 'in_review', 'has_open_question', 'gold'] as const;
const TEXT_LISTS = ['domain', 'task_type', 'product', 'request_id', 'pool', 'assigned_to'] as const;
const DATES = ['created_after', 'created_before'] as const;

export type TextList = (typeof TEXT_LISTS)[number];

/** The filters and the order. Dates are days (`2026-11-30`) of the person's time zone. */
export type Filters = Omit<ListTasksQuery, 'limit' | 'cursor'>;

const SLUG = /^[a-z][a-z0-9_]{0,63}$/;
const ID = /^[A-Za-z0-9_-]{1,64}$/;
const PATTERNS: Readonly<Record<TextList, RegExp>> = {
  domain: SLUG,
  task_type: SLUG,
  product: /^.{1,500}$/,
  request_id: /^.{1,500}$/,
  pool: ID,
  assigned_to: ID,
};
const DAY = /^\d{4}-\d{2}-\d{2}$/;
/** Most values of a filter. */
const MOST = 50;

/** Reads the filters of an address. @param search of the address, with or without `?` */
export function filtersOf(search: string): Filters {
  const query = new URLSearchParams(search);
  const list = (name: string, isValid: (one: string) => boolean) => {
    const values = query
      .getAll(name)
      .flatMap((text) => text.split(','))
      .map((text) => text.trim())
      .filter(isValid);
    return values.length === 0 ? undefined : [...new Set(values)].slice(0, MOST);
  };
  const filters: Record<string, unknown> = {
    status: list('status', (one) => (STATUSES as readonly string[]).includes(one)),
    urgency: list('urgency', (one) => (URGENCIES as readonly string[]).includes(one)),
  };
  for (const name of TEXT_LISTS) filters[name] = list(name, (one) => PATTERNS[name].test(one));
  for (const name of FLAGS) {
    const value = query.get(name);
    filters[name] = value === 'true' ? true : value === 'false' ? false : undefined;
  }
  for (const name of DATES) {
    const value = query.get(name) ?? '';
    filters[name] = DAY.test(value) && !Number.isNaN(Date.parse(value)) ? value : undefined;
  }
  if (query.get('order_by') === 'deadline') filters.order_by = 'deadline';
  if (query.get('order') === 'asc') filters.order = 'asc';
  return withoutEmpty(filters) as Filters;
}

/** The filters as the query of an address, in a fixed order: equal filters have equal text. */
export function searchOf(filters: Filters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filters).sort(([one], [other]) => (one < other ? -1 : 1)))
    if (value !== undefined) query.set(name, Array.isArray(value) ? value.join(',') : String(value));
  return query.toString();
}

/** The filters with some changed; undefined, false and empty lists remove one. */
export function changed(filters: Filters, change: Partial<Record<keyof Filters, unknown>>): Filters {
  return withoutEmpty({ ...filters, ...change }) as Filters;
}

/** The filters as the API takes them: days become times. */
export function apiFilters({ created_after, created_before, ...rest }: Filters): Filters {
  return {
    ...rest,
    ...(created_after !== undefined && { created_after: startOfDay(created_after) }),
    ...(created_before !== undefined && { created_before: startOfDay(created_before) }),
  };
}

function startOfDay(day: string): string {
  return new Date(`${day}T00:00:00`).toISOString();
}

function withoutEmpty(values: object): object {
  return Object.fromEntries(
    Object.entries(values).filter(
      ([, value]) =>
        value !== undefined &&
        value !== null &&
        value !== '' &&
        !(Array.isArray(value) && value.length === 0),
    ),
  );
}

/** Whether nothing is filtered; the order does not count. */
export function isUnfiltered({ order: _order, order_by: _orderBy, ...filters }: Filters): boolean {
  return Object.keys(filters).length === 0;
}
