// Messages of the console's pages for workers, pools, webhooks, keys, members and the audit log, in German.

import type { consoleAdmin as english } from '../en/console-admin.ts';

export const consoleAdmin: typeof english = {
  empty: 'Hier ist noch nichts.',
};
