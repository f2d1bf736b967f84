// The org's audit log, and what an auditor takes away: the export, and the keys that verify it.

import Type from 'typebox';
import { POSITION, readAudit } from '../../store/audit.ts';
import { listAnswer as answerList, DEFAULT_LIMIT, listScope, readCursor } from '../list.ts';
import { ApiError } from '../problem.ts';
import { type KeyPrincipal, route, scope } from '../route.ts';
import { closed, listAnswer, nullable, PageQuery, Timestamp } from '../schemas.ts';

const AuditEntry = Type.Object(
  {
    sequence: Type.Integer({ description: 'Counts 1, 2, 3 … within the org' }),
    at: Timestamp,
    actor: Type.String({ description: '`api_key:<id>`, `operator` …' }),
    action: Type.String({ description: 'Such as `api_key.created`' }),
    target: Type.Object({ type: Type.String(), id: Type.String() }),
    data: Type.Record(Type.String(), Type.Unknown()),
    previous_hash: nullable(Type.String()),
    hash: Type.String({ description: 'SHA-256 over the entry without this field, in RFC 8785 form' }),
  },
  { $id: 'AuditEntry' },
);

export const auditRoutes = [
  route({
    method: 'GET',
    path: '/v1/audit',
    access: scope('audit:read'),
    tag: 'Audit',
    summary: "The org's audit log: changes of keys, tokens, secrets and of the org itself",
    query: closed(PageQuery),
    admit: requireWholeOrg,
    answers: { 200: { description: 'A page of entries', schema: listAnswer(AuditEntry) } },
    async handler({ deps: { db }, principal, query }) {
      const { limit = DEFAULT_LIMIT, cursor, order = 'desc' } = query;
      const bound = listScope('audit', principal.org_id, order);
      const after = readCursor(bound, cursor, POSITION);
      const found = await readAudit(db, principal.org_id, { order, after }, limit + 1);
      const shown = found.slice(0, limit);
      const next = found.length > limit ? (shown.at(-1)?.position ?? null) : null;
      return answerList(
        shown.map(({ entry }) => entry),
        bound,
        next,
      );
    },
  }),
];

/** The log is about the whole org, and so for keys that are not confined to pools. @throws ApiError 403 */
function requireWholeOrg(_body: unknown, principal: KeyPrincipal): void {
  if (!principal.pools.includes('*'))
    throw new ApiError('pool_forbidden', 'The audit log is for keys that are not confined to pools.');
}
