// Creates the demo org: a pool, a worker who is qualified for the example task and is played by a program, a worker who is a
// person in the portal, a member, and credentials. The credentials are stored in the data folder, so that they stay the same
// over restarts.

import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newAuditEvent } from '../state/audit/audit.ts';
import { newTrackRecord } from '../state/workers/track-record.ts';
import type { Pool, Worker } from '../state/workers/worker.ts';
import { commitAudited } from '../store/audit/audit-log.ts';
import { newCredential, parseCredential } from '../store/identity/credential-text.ts';
import { findCredential } from '../store/identity/credentials.ts';
import {
  findMember,
  loadMember,
  type Member,
  memberWrites,
  passwordVersion,
} from '../store/identity/members.ts';
import { newOrg } from '../store/identity/new-org.ts';
import { hashPassword, PASSWORD_COST } from '../store/identity/passwords.ts';
import type { SignInLink } from '../store/identity/session-records.ts';
import { linkWrites, MAX_LINK_LIFE_MS } from '../store/identity/sessions.ts';
import { workerTokenWrites } from '../store/identity/worker-tokens.ts';
import { partitionsKnown } from '../store/metrics/heartbeat.ts';
import { commit } from '../store/redis/commit.ts';
import type { Db } from '../store/redis/connection.ts';
import { newId } from '../store/redis/ids.ts';
import type { Sealer } from '../store/redis/sealing.ts';
import { poolWrites } from '../store/workers/pools.ts';
import { loadWorker, workerWrites } from '../store/workers/workers.ts';

/** Ids and credentials of a demo org. */
export interface DemoOrg {
  org_id: string;
  api_key: string;
  worker_id: string;
  worker_token: string;
  pool_id: string;
  member?: DemoMember;
  /** The worker of the portal's link. */
  person_id?: string;
}

/** A member of the demo org, who may do everything. */
interface DemoMember {
  member_id: string;
  email: string;
  password: string;
}

/** The demo org of `dataDir`; creates one if the folder names none, or one that this Redis does not have. */
export async function ensureDemoOrg(db: Db, sealer: Sealer, dataDir: string): Promise<DemoOrg> {
  const file = join(dataDir, 'demo.json');
  const known = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as DemoOrg,
    () => null,
  );
  const where = known === null ? null : parseCredential(known.api_key);
  const isKnown = known !== null && where !== null && (await findCredential(db, where)) !== null;
  if (isKnown && known.member !== undefined && known.person_id !== undefined) return known;
  const org: DemoOrg = isKnown ? known : await makeDemoOrg(db, sealer);
  const made: DemoOrg = {
    ...org,
    member: org.member ?? (await makeDemoMember(db, org.org_id)),
    person_id: org.person_id ?? (await makeDemoPerson(db, org)),
  };
  await writeFile(file, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 });
  return made;
}

async function makeDemoMember(db: Db, org_id: string): Promise<DemoMember> {
  const now = db.clock.now();
  const password = randomBytes(15).toString('base64url');
  const email = 'demo@example.com';
  const found = await findMember(db, org_id, email);
  const member: Member = {
    member_id: found?.member_id ?? newId(now),
    org_id,
    version: (found?.version ?? 0) + 1,
    email,
    name: 'Demo member',
    password_hash: await hashPassword(password, PASSWORD_COST),
    password_version: (found?.password_version ?? 0) + 1,
    role: 'owner',
    scopes: ['*'],
    pools: ['*'],
    disabled: false,
    created_at: found?.created_at ?? now,
    updated_at: now,
  };
  const { member_id } = member;
  const auditEvent = newAuditEvent('system', 'member.created', 'member', member_id);
  await commitAudited(db, org_id, auditEvent, memberWrites(db, found, member));
  return { member_id, email, password };
}

/** A worker who is offline until they open the portal and go available. @returns their id */
async function makeDemoPerson(db: Db, { org_id, pool_id }: DemoOrg): Promise<string> {
  const worker_id = 'demo-person';
  const found = await loadWorker(db, org_id, worker_id);
  if (found !== null) return worker_id;
  const person = newWorker(db, org_id, { worker_id, name: 'Demo person', pool_id, availability: 'offline' });
  await commit(db.redis, workerWrites(db, null, person));
  return worker_id;
}

function newWorker(
  db: Db,
  org_id: string,
  { pool_id, ...fields }: Pick<Worker, 'worker_id' | 'name' | 'availability'> & { pool_id: string },
): Worker {
  const now = db.clock.now();
  return {
    ...fields,
    org_id,
    version: 1,
    created_at: now,
    updated_at: now,
    incarnation: newId(now),
    pool_ids: [pool_id],
    skills: ['phone_verification', 'incident_response'],
    certifications: ['soc-operator'],
    trust_level: 5,
    rating: 5,
    track: newTrackRecord(5),
    capacity: 5,
    draining: false,
    reservations: [],
    idle_since: now,
  };
}

/**
 * Links that sign in the person and the member of the demo org, each once and within a day.
 * @param url origin of the server. @returns null for one who was removed since.
 */
export async function demoSignInLinks(
  db: Db,
  demo: DemoOrg,
  url: string,
): Promise<{ work: string | null; console: string | null }> {
  const { org_id } = demo;
  const worker = await loadWorker(db, org_id, demo.person_id ?? demo.worker_id);
  const member = demo.member === undefined ? null : await loadMember(db, org_id, demo.member.member_id);
  const makeLink = async (subject: SignInLink['subject'], page: string) => {
    const { text, hash } = newCredential('bll_', org_id);
    const expires_at = db.clock.now() + MAX_LINK_LIFE_MS;
    const link: SignInLink = { kind: 'sign_in_link', org_id, subject, authority: null, expires_at };
    await commit(db.redis, await linkWrites(db, link, hash));
    return `${url}${page}#${text}`;
  };
  return {
    work:
      worker &&
      (await makeLink(
        {
          kind: 'worker',
          worker_id: worker.worker_id,
          ...(worker.incarnation !== undefined && { incarnation: worker.incarnation }),
        },
        '/work/sign-in',
      )),
    console:
      member &&
      (await makeLink(
        { kind: 'member', member_id: member.member_id, password_version: passwordVersion(member) },
        '/console/sign-in',
      )),
  };
}

/** Creates an org with a pool and an available worker. */
export async function makeDemoOrg(db: Db, sealer: Sealer): Promise<DemoOrg> {
  const now = db.clock.now();
  const { org, apiKey, change, auditEvent } = newOrg(db, sealer, {
    name: 'Demo',
    actor: 'system',
    partitions: await partitionsKnown(db),
  });
  const { org_id } = org;
  const pool: Pool = {
    org_id,
    version: 1,
    created_at: now,
    updated_at: now,
    incarnation: newId(now),
    pool_id: 'demo-pool',
    name: 'Demo pool',
    offer_mode: 'sequential',
    broadcast_size: 5,
    offer_ttl_seconds: null,
  };
  const { pool_id } = pool;
  const worker = newWorker(db, org_id, {
    worker_id: 'demo-worker',
    name: 'Demo worker',
    pool_id,
    availability: 'available',
  });
  const token = newCredential('blw_', org_id);
  const changes = [change, poolWrites(db, null, pool), workerWrites(db, null, worker)];
  await commitAudited(db, org_id, auditEvent, {
    guards: changes.flatMap((one) => one.guards),
    writes: [
      ...changes.flatMap((one) => one.writes),
      ...workerTokenWrites(db, worker, ['*'], token.hash).writes,
    ],
  });
  return {
    org_id,
    api_key: apiKey,
    worker_id: worker.worker_id,
    worker_token: token.text,
    pool_id,
  };
}
