// What the handlers of all routes work with. It belongs to the app, since it names things of every room.

import type { OutputSchemas } from '../output-schema/output-schemas.ts';
import type { StorageQuotas } from '../state/access/storage-quotas.ts';
import type { AddressPolicy } from '../state/webhooks/callback-url.ts';
import type { EvidenceFiles } from '../store/evidence/files.ts';
import type { PasswordCost } from '../store/identity/passwords.ts';
import type { Db } from '../store/redis/connection.ts';
import type { Changes } from '../store/redis/pub-sub.ts';
import type { Sealer } from '../store/redis/sealing.ts';
import type { DefaultQuotas } from './access/admission.ts';
import type { InFlight } from './access/in-flight.ts';
import type { Usage } from './access/usage.ts';
import type { FeedTails } from './streams/feed-tails.ts';

/** What handlers work with. */
export interface ApiDeps {
  db: Db;
  changes: Changes;
  /** Bytes and streams that running requests hold. */
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
  /** What the hash of a new password costs. */
  passwordCost: PasswordCost;
  /** Usage of the storage quotas. */
  usage: Usage;
  /** The store of evidence files. */
  evidence: EvidenceFiles;
  /** Drops cached credentials, by their hash or by the id of their client, member or issuer, so that a revocation holds at once. */
  forgetCredential(name: string): void;
  /** Drops the cached rules of an org, so that a change of them holds at once. */
  forgetOrg(orgId: string): void;
}
