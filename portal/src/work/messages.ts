// The messages of the portal by area; shared/i18n has the catalogues.

import type { forms } from '../shared/i18n/en/forms.ts';
import type { work } from '../shared/i18n/en/work.ts';
import type { workSettings } from '../shared/i18n/en/work-settings.ts';
import { areaHook, type Catalogue } from '../shared/i18n/messages.tsx';

interface WorkCatalogue extends Catalogue {
  forms: typeof forms;
  work: typeof work;
  workSettings: typeof workSettings;
}

export const CATALOGUES = {
  en: () => import('../shared/i18n/en/work-app.ts'),
  de: () => import('../shared/i18n/de/work-app.ts'),
};

const area = areaHook<WorkCatalogue>();

export const useWork = area('work');
export const useWorkSettings = area('workSettings');
