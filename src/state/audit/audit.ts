// The audit log of an org: who changed its keys, members, secrets and rules, and when. Each entry is bound to the
// previous one by its hash, like the history of a task, so that a changed, missing or added entry is detected. An entry
// names what was changed and never holds a secret.

import { hash } from 'node:crypto';
import { canonicalText } from '../text/canonical.ts';
import { isSame } from '../text/same.ts';
import { timestamp } from '../text/time.ts';

/** An audit event, before it is added to the log. */
export interface AuditEvent {
  /** `api_key:<id>`, `operator`, `system` … */
  actor: string;
  /** `<thing>.<past participle>`: `api_key.created`, `org.updated` … */
  action: `${string}.${string}`;
  /** The kind and id of the changed thing. */
  target: { type: string; id: string };
  /** Details. Never a secret, nor a hash of one. */
  data?: Record<string, unknown>;
}

/** An audit event without `data`, which the caller may add. */
export function newAuditEvent(
  actor: string,
  action: AuditEvent['action'],
  type: string,
  id: string,
): AuditEvent {
  return { actor, action, target: { type, id } };
}

/** The fields that differ, with their old and new values. Not for secrets. */
export function changesOf<T extends object>(
  before: T,
  after: T,
  fields: readonly (keyof T & string)[],
): Record<string, { from: unknown; to: unknown }> {
  return Object.fromEntries(
    fields
      .filter((name) => !isSame(before[name], after[name]))
      .map((name) => [name, { from: before[name] ?? null, to: after[name] ?? null }]),
  );
}

/** An entry as `GET /v1/audit` shows it. */
export interface AuditEntry {
  sequence: number;
  at: string;
  actor: string;
  action: string;
  target: { type: string; id: string };
  data: Record<string, unknown>;
  previous_hash: string | null;
  hash: string;
}

/** Where the log ends: number, hash and time (ms) of its last entry. */
export interface AuditHead {
  sequence: number;
  hash: string | null;
  at: number;
}

/** The entry of an audit event after `head`; its time is never earlier than that of the previous entry. */
export function auditEntry(auditEvent: AuditEvent, head: AuditHead, now: number): AuditEntry {
  const entry = {
    sequence: head.sequence + 1,
    at: timestamp(Math.max(now, head.at)),
    actor: auditEvent.actor,
    action: auditEvent.action,
    target: auditEvent.target,
    data: boundedData(auditEvent.data ?? {}),
    previous_hash: head.hash,
  };
  return { ...entry, hash: digestOf(entry) };
}

/** Most bytes of JSON in the data of one entry: the log is never purged. */
const DATA_BYTES = 8192;

/** The data as JSON has it. When it is too large, large fields are replaced by their size and hash. */
function boundedData(data: Record<string, unknown>): Record<string, unknown> {
  const text = JSON.stringify(data);
  const whole = JSON.parse(text) as Record<string, unknown>;
  if (Buffer.byteLength(text) <= DATA_BYTES) return whole;
  const fields = Object.entries(whole);
  const share = DATA_BYTES / fields.length;
  return Object.fromEntries(
    fields.map(([name, value]) => {
      const bytes = Buffer.byteLength(JSON.stringify(value));
      return [name, bytes <= share ? value : { omitted: true, bytes, sha256: digestOf({ value }) }];
    }),
  );
}

/** SHA-256 (hex) over the RFC 8785 canonical JSON of a value. */
export function digestOf(value: object): string {
  return hash('sha256', canonicalText(value), 'hex');
}
