// Messages of the console's pages for workers, pools, webhooks, keys, members and the audit log.

export const consoleAdmin = {
  empty: 'There is nothing here yet.',
};
