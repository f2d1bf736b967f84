// The dependencies of the route handlers, created once for the app.

import type { OutputSchemas } from '../output-schema/output-schemas.ts';
import type { StorageQuotas } from '../state/access/storage-quotas.ts';
import type { Coverage } from '../state/operation/coverage.ts';
import type { AddressPolicy } from '../state/webhooks/callback-url.ts';
import type { EvidenceFiles } from '../store/evidence/files.ts';
import type { PasswordCost } from '../store/identity/passwords.ts';
import type { AliveProcess } from '../store/metrics/heartbeat.ts';
import type { Db } from '../store/redis/connection.ts';
import type { ReplicaStatus } from '../store/redis/durability.ts';
import type { MemoryWatch } from '../store/redis/memory-watch.ts';
import type { Changes } from '../store/redis/pub-sub.ts';
import type { Sealer } from '../store/redis/sealing.ts';
import type { DefaultQuotas } from './access/admission.ts';
import type { InFlight } from './access/in-flight.ts';
import type { Usage } from './access/usage.ts';
import type { FeedTails } from './streams/feed-tails.ts';

export interface ApiDeps {
  db: Db;
  memory: MemoryWatch;
  /** The confirmation of writes by replicas; null when they need not confirm. */
  replicas: ReplicaStatus | null;
  /** Failed jobs by queue. */
  failedJobs(): Promise<Record<string, number>>;
  /** How many of these processes take each queue of each shard. */
  coverage(processes: readonly AliveProcess[]): Coverage[];
  changes: Changes;
  /** Limits of bytes and streams that concurrent requests hold. */
  inFlight: InFlight;
  /** Followers of the orgs' feeds. */
  feedTails: FeedTails;
  sealer: Sealer;
  schemas: OutputSchemas;
  addressPolicy: AddressPolicy;
  /** Default rate limits. */
  quotas: DefaultQuotas;
  /** Default storage quotas. */
  storageQuotas: StorageQuotas;
  /** Cost of hashing a new password. */
  passwordCost: PasswordCost;
  /** Enforces the storage quotas. */
  usage: Usage;
  /** The store of evidence files. */
  evidence: EvidenceFiles;
  /** Whether notices can be sent by e-mail. */
  sendsMail: boolean;
  /**
   * Drops cached credentials by their hash or the id of their client, member or issuer, so that a revocation takes effect at
   * once.
   */
  forgetCredential(name: string): void;
  /** Whether the tenant has task types, or had some; at most a second old. */
  hasTaskTypes(tenantId: string): boolean | Promise<boolean>;
  /** Drops the cached rules of an org, so that a change takes effect at once. */
  forgetOrg(orgId: string): void;
}
