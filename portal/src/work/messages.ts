// The messages of the portal by area; shared/i18n has the catalogues.

import type { forms } from '../shared/i18n/en/forms.ts';
import type { work } from '../shared/i18n/en/work.ts';
import { areaHook, type Catalogue } from '../shared/i18n/messages.tsx';

interface WorkCatalogue extends Catalogue {
  forms: typeof forms;
  work: typeof work;
}

export const CATALOGUES = {
  en: () => import('../shared/i18n/en/work-app.ts'),
  de: () => import('../shared/i18n/de/work-app.ts'),
};

export const useWork = areaHook<WorkCatalogue>()('work');
