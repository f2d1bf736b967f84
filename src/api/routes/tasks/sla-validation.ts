// Rules of `sla.on_deadline` and `sla.escalations` that no schema can express.

import type { WantedOutput } from '../../../output-schema/output-schemas.ts';
import { orgOf } from '../../../state/access/tenant.ts';
import { NO_POOL } from '../../../store/commands/refusals.ts';
import { loadMember } from '../../../store/identity/members.ts';
import { hasPool } from '../../../store/workers/pools.ts';
import { type KeyPrincipal, maySeePool } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import type { FieldError } from '../../http/problem.ts';
import { at } from '../../http/validation.ts';

/** The errors of the body's SLA. The body may be invalid: parts of another type are skipped. */
export async function slaErrors(
  deps: ApiDeps,
  principal: KeyPrincipal,
  body: unknown,
): Promise<FieldError[]> {
  if (at(body, 'sla', 'on_deadline') === undefined && at(body, 'sla', 'escalations') === undefined) return [];
  return [
    ...(await defaultOutputErrors(deps, principal, body)),
    ...(await escalationErrors(deps, principal, body)),
  ];
}

/** The errors of a default output: it needs a deadline and must be valid under the output schema. */
async function defaultOutputErrors(
  deps: ApiDeps,
  principal: KeyPrincipal,
  body: unknown,
): Promise<FieldError[]> {
  const pointer = '/sla/on_deadline';
  if (at(body, 'sla', 'on_deadline', 'action') !== 'complete') return [];
  const missing =
    at(body, 'sla', 'deadline') === undefined ? [{ pointer, message: 'requires sla.deadline' }] : [];
  const expected_format = at(body, 'output', 'expected_format');
  if (expected_format !== 'structured_json' && expected_format !== 'text') return missing;
  const wanted: WantedOutput = { expected_format, schema: at(body, 'output', 'schema') };
  if (expected_format === 'structured_json' && wanted.schema === undefined) return missing;
  const given = at(body, 'sla', 'on_deadline', 'output');
  const problems = await deps.schemas.checkOutput(wanted, given, orgOf(principal.org_id));
  return [
    ...missing,
    ...problems.map((one) => ({ pointer: `${pointer}/output${one.pointer}`, message: one.message })),
  ];
}

/** The errors of escalations: their order, effects, pools and members. A pool that the key may not see counts as missing. */
async function escalationErrors(
  deps: ApiDeps,
  principal: KeyPrincipal,
  body: unknown,
): Promise<FieldError[]> {
  const escalations = at(body, 'sla', 'escalations');
  if (!Array.isArray(escalations)) return [];
  const errors: FieldError[] = [];
  let before = 0;
  for (const [index, escalation] of escalations.entries()) {
    const pointer = `/sla/escalations/${index}`;
    const after = at(escalation, 'after_seconds');
    if (typeof after === 'number') {
      if (after < before)
        errors.push({
          pointer: `${pointer}/after_seconds`,
          message: 'must not be earlier than the one before',
        });
      before = Math.max(before, after);
    }
    const pool = at(escalation, 'worker_pool_id');
    const members = at(escalation, 'notify_members');
    if (at(escalation, 'urgency') === undefined && pool === undefined && members === undefined)
      errors.push({ pointer, message: 'needs urgency, worker_pool_id or notify_members' });
    if (typeof pool === 'string' && !(await isVisiblePool(deps, principal, pool)))
      errors.push({ pointer: `${pointer}/worker_pool_id`, message: NO_POOL.message });
    for (const [which, member] of Array.isArray(members) ? members.entries() : [])
      if (typeof member === 'string' && !(await isMember(deps, principal, member)))
        errors.push({
          pointer: `${pointer}/notify_members/${which}`,
          message: 'is not the id of a member of the org',
        });
  }
  return errors;
}

async function isVisiblePool({ db }: ApiDeps, principal: KeyPrincipal, pool: string): Promise<boolean> {
  return maySeePool(principal, pool) && (await hasPool(db, principal.org_id, pool));
}

async function isMember({ db }: ApiDeps, principal: KeyPrincipal, id: string): Promise<boolean> {
  return (await loadMember(db, orgOf(principal.org_id), id)) !== null;
}
