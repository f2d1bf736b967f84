// The messages of the console by area; shared/i18n has the catalogues.

import type { consoleApp } from '../shared/i18n/en/console.ts';
import type { consoleAdmin } from '../shared/i18n/en/console-admin.ts';
import { areaHook, type Catalogue } from '../shared/i18n/messages.tsx';

interface ConsoleCatalogue extends Catalogue {
  consoleApp: typeof consoleApp;
  consoleAdmin: typeof consoleAdmin;
}

export const CATALOGUES = {
  en: () => import('../shared/i18n/en/console-app.ts'),
  de: () => import('../shared/i18n/de/console-app.ts'),
};

const area = areaHook<ConsoleCatalogue>();

export const useConsole = area('consoleApp');
export const useAdmin = area('consoleAdmin');
