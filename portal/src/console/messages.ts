// The messages of the console by area; shared/i18n has the catalogues.

import type { consoleApp } from '../shared/i18n/en/console.ts';
import type { consoleAccess } from '../shared/i18n/en/console-access.ts';
import type { consoleOrg } from '../shared/i18n/en/console-org.ts';
import type { consoleOverview } from '../shared/i18n/en/console-overview.ts';
import type { consoleReview } from '../shared/i18n/en/console-review.ts';
import type { consoleTask } from '../shared/i18n/en/console-task.ts';
import type { consoleTasks } from '../shared/i18n/en/console-tasks.ts';
import type { consoleWebhooks } from '../shared/i18n/en/console-webhooks.ts';
import type { consoleWorkers } from '../shared/i18n/en/console-workers.ts';
import { areaHook, type Catalogue } from '../shared/i18n/messages.tsx';

interface ConsoleCatalogue extends Catalogue {
  consoleOrg: typeof consoleOrg;
  consoleAccess: typeof consoleAccess;
  consoleWebhooks: typeof consoleWebhooks;
  consoleWorkers: typeof consoleWorkers;
  consoleApp: typeof consoleApp;
  consoleTasks: typeof consoleTasks;
  consoleTask: typeof consoleTask;
  consoleReview: typeof consoleReview;
  consoleOverview: typeof consoleOverview;
}

export const CATALOGUES = {
  en: () => import('../shared/i18n/en/console-app.ts'),
  de: () => import('../shared/i18n/de/console-app.ts'),
};

const area = areaHook<ConsoleCatalogue>();

export const useConsole = area('consoleApp');
export const useConsoleWorkers = area('consoleWorkers');
export const useConsoleWebhooks = area('consoleWebhooks');
export const useConsoleAccess = area('consoleAccess');
export const useConsoleOrg = area('consoleOrg');
export const useTasks = area('consoleTasks');
export const useTaskText = area('consoleTask');
export const useReview = area('consoleReview');
export const useOverview = area('consoleOverview');
