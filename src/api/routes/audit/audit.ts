// The org's audit log, its signed export, and the public keys that verify an export.

import { Readable } from 'node:stream';
import Type from 'typebox';
import type { AuditEntry } from '../../../state/audit/audit.ts';
import { timeOf } from '../../../state/text/time.ts';
import { auditPage, POSITION } from '../../../store/audit/audit-log.ts';
import { exportAudit } from '../../../store/audit/export.ts';
import { publicKeys } from '../../../store/audit/signing-keys.ts';
import { requireWholeOrg } from '../../access/grants.ts';
import { DEFAULT_LIMIT, listResponse, listScope, readCursor } from '../../http/list.ts';
import { invalidQuery } from '../../http/problem.ts';
import {
  actor,
  closed,
  described,
  label,
  listOf,
  nullable,
  PageQuery,
  pageOf,
  sha256,
  Timestamp,
  text,
  time,
  word,
} from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';

const AuditEntryView = Type.Object(
  {
    sequence: Type.Integer({ minimum: 1, description: '1, 2, 3 … within the org' }),
    at: time('When it happened'),
    actor: actor('`api_key:<id>`, `operator` …'),
    action: text('For example `api_key.created`', { pattern: '^[a-z_]+\\.[a-z_]+$' }),
    target: Type.Object(
      { type: label('Kind of the thing, such as `api_key`'), id: label('Its id') },
      { $id: 'AuditTarget', description: 'What the action changed' },
    ),
    data: Type.Record(Type.String(), Type.Unknown(), { description: 'What belongs to the action' }),
    previous_hash: nullable(sha256('`hash` of the entry before; null for the first')),
    hash: sha256('SHA-256 over the entry without this field, in RFC 8785 form'),
  },
  { $id: 'AuditEntry', description: 'An entry of the audit log' },
);

const PublicKey = Type.Object(
  {
    kty: word(['OKP'], { description: 'Key type (RFC 8037)' }),
    crv: word(['Ed25519'], { description: 'Curve' }),
    x: text('The public key, base64url', { pattern: '^[A-Za-z0-9_-]{43}$' }),
    kid: text('Thumbprint of the key (RFC 7638)', { pattern: '^[A-Za-z0-9_-]{43}$' }),
    use: word(['sig'], { description: 'Signatures' }),
    alg: word(['EdDSA'], { description: 'Algorithm' }),
  },
  { $id: 'AuditKey', description: 'A public key that verifies exports (RFC 7517)' },
);

const Times = {
  from: Type.Optional(described(Timestamp, 'Start of the time range')),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'End of the time range, exclusive' })),
};
const Word = Type.String({ minLength: 1, maxLength: 200 });
const AuditFilters = {
  action: listOf(
    Word,
    'Entries with one of these actions, such as `api_key.created`, or of one of these kinds: `api_key`',
  ),
  actor: listOf(Word, 'Entries of one of these actors, such as `operator` or `member:<id>`'),
  target: listOf(Word, 'Entries about the things with one of these ids'),
  ...Times,
};
interface AuditFilters {
  action?: string[];
  actor?: string[];
  target?: string[];
}

export const auditRoutes = [
  route({
    method: 'GET',
    path: '/v1/audit',
    access: scope('audit:read'),
    tag: 'Audit',
    operationId: 'listAuditEntries',
    summary: 'List the audit log of the org',
    description: 'Changes of keys, tokens, members, secrets and the org itself. Needs a key for all pools.',
    query: closed({ ...AuditFilters, ...PageQuery }),
    admit: (_body, principal) => requireWholeOrg(principal),
    responses: { 200: { description: 'A page of entries', schema: pageOf(AuditEntryView) } },
    errors: ['pool_forbidden'],
    async handler({ deps: { db }, principal, query }) {
      const { limit = DEFAULT_LIMIT, cursor, order = 'desc', ...filters } = query;
      const bound = listScope('audit', principal.org_id, filters, order);
      const range = { order, after: readCursor(bound, cursor, POSITION), ...timesOf(filters) };
      const { entries, next } = await auditPage(db, principal.org_id, range, limit, wantedBy(filters));
      return listResponse(entries, bound, next);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/audit/export',
    access: scope('audit:read'),
    tag: 'Audit',
    operationId: 'exportAudit',
    summary: 'Export the audit log and histories',
    description:
      'The audit log and the histories of all tasks in a time range, as signed NDJSON; see docs/audit.md. Needs a key for all pools.',
    query: closed(Times),
    admit: (_body, principal) => requireWholeOrg(principal),
    responses: {
      200: { description: 'NDJSON; see docs/audit.md', schema: Type.String(), type: 'application/x-ndjson' },
    },
    errors: ['pool_forbidden'],
    async handler({ deps: { db, sealer }, principal, query }) {
      const { from = null, to = null } = timesOf(query);
      return {
        status: 200,
        content: async () => {
          const gone = new AbortController();
          const lines = exportAudit(db, sealer, principal.org_id, { from, to }, gone.signal);
          const content = await streamOf(lines);
          return content.once('close', () => gone.abort());
        },
        headers: {
          'Content-Type': 'application/x-ndjson',
          'Content-Disposition': 'attachment; filename="audit.ndjson"',
        },
      };
    },
  }),
  route({
    method: 'GET',
    path: '/.well-known/biolayer-audit-keys.json',
    access: { kind: 'open' },
    tag: 'Audit',
    operationId: 'listAuditKeys',
    summary: 'List the public keys of exports',
    description: 'A JWK set (RFC 7517) whose keys verify the signatures of exports.',
    responses: {
      200: {
        description: 'The keys',
        schema: closed({ keys: Type.Array(PublicKey, { description: 'All keys, old and new' }) }),
      },
    },
    async handler({ deps: { db, sealer } }) {
      return { status: 200, body: { keys: await publicKeys(db, sealer) } };
    },
  }),
];

/** Whether an entry passes the filters. An action without a dot stands for all actions of that kind of thing. */
function wantedBy({ action, actor, target }: AuditFilters): (entry: AuditEntry) => boolean {
  return (entry) =>
    (action === undefined ||
      action.some((one) => entry.action === one || entry.action.startsWith(`${one}.`))) &&
    (actor === undefined || actor.includes(entry.actor)) &&
    (target === undefined || target.includes(entry.target.id));
}

/** The time range of a query, ms; absent without bounds. @throws ApiError 400 when it is empty */
function timesOf(query: { from?: string; to?: string }): { from?: number; to?: number } {
  const from = query.from === undefined ? undefined : timeOf(query.from);
  const to = query.to === undefined ? undefined : timeOf(query.to);
  if (from !== undefined && to !== undefined && from >= to) throw invalidQuery('from', 'must be before to');
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

/** The lines as a stream. Awaits the first line, so that an error before it becomes an error response, not a cut connection. */
async function streamOf(lines: AsyncGenerator<string>): Promise<Readable> {
  const first = await lines.next();
  const all = async function* () {
    if (first.done) return;
    yield first.value;
    yield* lines;
  };
  // Buffer one item: each is a whole step of the export.
  return Readable.from(all(), { highWaterMark: 1 });
}
