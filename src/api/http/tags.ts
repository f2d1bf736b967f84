// The groups of operations in the OpenAPI document.

/** Tag → description. */
export const TAGS = {
  Tasks: 'Work for people: create, follow, steer and review it.',
  'Bulk actions': 'One change for many tasks, in the background.',
  'Task types': 'Named defaults for tasks of the same kind, with versions.',
  Messages: 'The conversation between the requester of a task and its worker.',
  Evidence: 'Files that workers hand in with their work.',
  Events: 'The feed of everything that happens in the org, as pages and as a stream.',
  Pools: 'Groups of workers with their own offer settings.',
  Workers: 'The people who do tasks, as integrators manage them.',
  Worker: 'What a worker does with their own token: offers, tasks, drafts and availability.',
  Notifications: 'Channels through which workers hear of offers and tasks, and what was sent.',
  Webhooks: 'Endpoints that receive events, their deliveries and replays.',
  'API keys': 'Credentials of software, with scopes and pools.',
  OAuth: 'OAuth clients, and external issuers of access tokens.',
  'Sign-in': 'Sessions of the pages of this server: links, cookies and signing out.',
  Members: 'The people of the org who can sign in.',
  Org: 'Settings, limits and usage of the org.',
  Stats: 'Counts and times of tasks.',
  Audit: 'The audit log, and exports that can be verified.',
  Operators: 'For those who run BioLayer, with the operator token.',
} as const;

export type Tag = keyof typeof TAGS;
