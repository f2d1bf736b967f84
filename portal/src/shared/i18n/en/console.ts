// Messages of the console's frame: sign-in and navigation.

export const consoleApp = {
  app: 'BioLayer',
  signIn: {
    title: 'Sign in to the console',
    fromLink: 'You opened a sign-in link. It works once.',
    button: 'Sign in',
    withPassword: 'Sign in with your e-mail address and password.',
    toPassword: 'Continue to sign in',
    invalidLink:
      'This link has been used or has expired. Sign in with your e-mail address and password, or ask for a new link.',
  },
  nav: {
    overview: 'Overview',
    tasks: 'Tasks',
    review: 'Review',
    workers: 'Workers',
    pools: 'Pools',
    webhooks: 'Webhooks',
    types: 'Task types',
    keys: 'API keys',
    members: 'Members',
    audit: 'Audit log',
    settings: 'Settings',
    queues: 'Queues',
  },
  account: {
    open: 'Account:',
    role: 'Role',
    roles: { owner: 'Owner', manager: 'Manager', reviewer: 'Reviewer', viewer: 'Viewer' },
    ownScopes: 'Own permissions',
    pools: 'Pools',
    sessionEnds: 'Session ends',
  },
  noPermission: {
    title: 'You may not open this page',
    text: (scope: string) =>
      `It needs the permission ${scope}, which your role does not have. Ask an owner of your organisation for it.`,
    toOverview: 'Go to the overview',
  },
  notFound: 'Choose a page from the navigation.',
};
