// Which scopes of the API each tool and resource needs. The API enforces them; this list is for authorization: clients learn
// from it what to ask the member for, at first and when a call needs more.

/** At least one scope, as `requireScopes` of the protocol library takes them. */
type Scopes = readonly [string, ...string[]];

const named = <Name extends string>(scopes: Record<Name, Scopes>) => scopes;

export const TOOL_SCOPES = named({
  request_human: ['tasks:create', 'tasks:read'],
  wait_for_task: ['tasks:read'],
  get_task: ['tasks:read'],
  list_tasks: ['tasks:read'],
  cancel_task: ['tasks:cancel'],
  answer_question: ['messages:write', 'tasks:read'],
  review_task: ['tasks:review'],
  preview_match: ['tasks:create'],
});

export const RESOURCE_SCOPES = named({
  pools: ['pools:read'],
  'task-types': ['types:read'],
  task: ['tasks:read'],
  history: ['tasks:read'],
  evidence: ['tasks:read'],
});

/** What a client asks for when it connects: enough to ask a person and to wait. */
export const FIRST_SCOPES = TOOL_SCOPES.request_human;

/** Every scope that a tool or a resource needs. */
export const MCP_SCOPES: readonly string[] = [
  ...new Set([...Object.values(TOOL_SCOPES), ...Object.values(RESOURCE_SCOPES)].flat()),
];
