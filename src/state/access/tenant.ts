// Tenants: whose data a record is. An org has two, and nothing passes between them: its live one, whose id is
// the org's own, and its sandbox, for what test keys do. `org_id` in a record, a job or a principal is the
// tenant's id; only what clients see shows the org's. So code that knows nothing of sandboxes keeps them apart.

export const MODES = ['live', 'test'] as const;
/** Which of an org's two tenants: the live one, or the sandbox. */
export type Mode = (typeof MODES)[number];

/** What the id of an org has behind it to make that of its sandbox. An org's id is a UUID and never ends so. */
const SANDBOX = '-test';

/** The id of an org's tenant. @param orgId the org's own id. */
export function tenantOf(orgId: string, mode: Mode): string {
  return mode === 'test' ? orgId + SANDBOX : orgId;
}

/** Which of its org's tenants this is. */
export function modeOf(tenantId: string): Mode {
  return tenantId.endsWith(SANDBOX) ? 'test' : 'live';
}

/** The id of the org whose tenant this is, as clients know it. */
export function orgOf(tenantId: string): string {
  return tenantId.endsWith(SANDBOX) ? tenantId.slice(0, -SANDBOX.length) : tenantId;
}
