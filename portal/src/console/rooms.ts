// The pages of the console: address, entry in the navigation, the scope that a page needs, and its code, which is loaded when
// the page is opened.

import { type ComponentType, type LazyExoticComponent, lazy } from 'react';
import type { consoleApp } from '../shared/i18n/en/console.ts';
import type { IconName } from '../shared/ui/icons.tsx';

export interface Room {
  name: keyof typeof consoleApp.nav;
  /** Of the first page; pages below it belong to the room too. */
  href: string;
  icon: IconName;
  scope: string;
  Page: LazyExoticComponent<ComponentType>;
}

export const HOME = '/console';

export const ROOMS: readonly Room[] = [
  {
    name: 'overview',
    href: HOME,
    icon: 'chart',
    scope: 'tasks:read',
    Page: lazy(() => import('./overview/overview-page.tsx')),
  },
  {
    name: 'tasks',
    href: '/console/tasks',
    icon: 'tasks',
    scope: 'tasks:read',
    Page: lazy(() => import('./tasks/tasks-room.tsx')),
  },
  {
    name: 'review',
    href: '/console/review',
    icon: 'check',
    scope: 'tasks:review',
    Page: lazy(() => import('./review/review-page.tsx')),
  },
  {
    name: 'workers',
    href: '/console/workers',
    icon: 'people',
    scope: 'workers:read',
    Page: lazy(() => import('./workers/workers-room.tsx')),
  },
  {
    name: 'pools',
    href: '/console/pools',
    icon: 'inbox',
    scope: 'pools:read',
    Page: lazy(() => import('./pools/pools-room.tsx')),
  },
  {
    name: 'webhooks',
    href: '/console/webhooks',
    icon: 'link',
    scope: 'webhooks:read',
    Page: lazy(() => import('./webhooks/webhooks-room.tsx')),
  },
  {
    name: 'types',
    href: '/console/types',
    icon: 'file',
    scope: 'types:read',
    Page: lazy(() => import('./types/types-room.tsx')),
  },
  {
    name: 'keys',
    href: '/console/keys',
    icon: 'key',
    scope: 'keys:read',
    Page: lazy(() => import('./keys/keys-room.tsx')),
  },
  {
    name: 'members',
    href: '/console/members',
    icon: 'star',
    scope: 'members:read',
    Page: lazy(() => import('./members/members-room.tsx')),
  },
  {
    name: 'audit',
    href: '/console/audit',
    icon: 'history',
    scope: 'audit:read',
    Page: lazy(() => import('./audit/audit-room.tsx')),
  },
  {
    name: 'settings',
    href: '/console/settings',
    icon: 'settings',
    scope: 'org:read',
    Page: lazy(() => import('./settings/settings-room.tsx')),
  },
  {
    name: 'queues',
    href: '/console/queues',
    icon: 'refresh',
    scope: 'org:write',
    Page: lazy(() => import('./queues/queues-room.tsx')),
  },
];
