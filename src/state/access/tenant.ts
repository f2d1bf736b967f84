// Tenants. An org has two, and data never passes between them: the live tenant, whose id is the org's own, and the
// sandbox, which test keys use. `org_id` in a record, a job or a principal is the tenant's id; only clients see the
// org's id. So code that does not know about sandboxes keeps them apart.

export const MODES = ['live', 'test'] as const;
/** Which of an org's two tenants: the live one, or the sandbox. */
export type Mode = (typeof MODES)[number];

/** The suffix of a sandbox's id. An org's id is a UUID and never ends like this. */
const SANDBOX = '-test';

/** The id of an org's tenant. @param orgId the org's own id. */
export function tenantOf(orgId: string, mode: Mode): string {
  return mode === 'test' ? orgId + SANDBOX : orgId;
}

/** The mode of a tenant. */
export function modeOf(tenantId: string): Mode {
  return tenantId.endsWith(SANDBOX) ? 'test' : 'live';
}

/** The id of the tenant's org, as clients know it. */
export function orgOf(tenantId: string): string {
  return tenantId.endsWith(SANDBOX) ? tenantId.slice(0, -SANDBOX.length) : tenantId;
}
