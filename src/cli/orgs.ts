// `biolayer admin orgs`, and `biolayer orgs` for short: orgs, for the operator.

import type { CreateOrgApiKeyRequest } from '@biolayer/sdk';
import { type Command, InvalidArgumentError } from 'commander';
import { QUOTA_NAMES } from '../state/access/storage-quotas.ts';
import { parseQuota, type Quota } from '../state/access/token-bucket.ts';
import { addPageFlags, collect, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';

/** Adds `biolayer orgs` and `biolayer admin orgs`, which are the same. */
export function addOrgCommands(program: Command, streams: Streams): void {
  const admin = program.command('admin').description('commands for the operator');
  for (const parent of [admin, program])
    addVerbs(parent.command('orgs').description('orgs, for the operator'), streams);
}

function addVerbs(orgs: Command, streams: Streams): void {
  addPageFlags(orgs.command('list'))
    .description('list orgs with their status and usage')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const page = await api.admin.listOrgs(pageQuery(flags));
      showPage(out, page, LISTED);
    });
  orgs
    .command('create')
    .description('create an org and its first API key, which is shown only once')
    .requiredOption('--name <name>')
    .action(async ({ name }: { name: string }, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const org = await api.admin.createOrg({ name });
      out.answer(org, () => out.record(org, ['org_id', 'name', 'api_key']));
    });
  orgs
    .command('get')
    .description('show an org with its limits and its allowlist')
    .argument('<org_id>')
    .action(async (orgId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const org = await api.admin.getOrg(orgId);
      out.answer(org, () => out.record(org, FIELDS));
    });
  orgs
    .command('update')
    .description('change the name, limits or allowlist of an org')
    .argument('<org_id>')
    .option('--name <name>')
    .option('--rate-limit-key <requests/seconds>', 'rate limit of each credential, or default', quota)
    .option('--rate-limit-org <requests/seconds>', 'rate limit of the whole org, or default', quota)
    .option('--quota <name=limit>', 'how much it may store, or name=default; repeatable', storageQuota, {})
    .option('--ip-allowlist <cidrs>', 'comma-separated; empty allows all addresses', networks)
    .action(async (orgId: string, flags: UpdateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const { name, rateLimitKey: key, rateLimitOrg: org, quota: quotas, ipAllowlist: ip_allowlist } = flags;
      const limits = { ...(key !== undefined && { key }), ...(org !== undefined && { org }) };
      const body = {
        ...givenOnly({ name, ip_allowlist }),
        ...(Object.keys(limits).length > 0 && { rate_limits: limits }),
        ...(Object.keys(quotas).length > 0 && { quotas }),
      };
      const changed = await api.admin.updateOrg(orgId, body);
      out.answer(changed, () => out.record(changed, FIELDS));
    });
  orgs
    .command('api-key')
    .description('create an API key for an org that has lost its own; it is shown only once')
    .argument('<org_id>')
    .requiredOption('--name <name>')
    .option('--scope <scope>', 'what it may do; repeatable (default: everything)', collect)
    .option('--pool <pool_id>', 'limit it to these pools; repeatable', collect)
    .option('--expires-at <time>', 'RFC 3339')
    .option('--test', "a test key, for the org's sandbox")
    .action(async (orgId: string, flags: KeyFlags, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const { name, scope: scopes = ['*'], pool: pools, expiresAt: expires_at, test } = flags;
      const body = givenOnly({ name, scopes, pools, expires_at, mode: test && ('test' as const) });
      const key = await api.admin.createOrgApiKey(orgId, body);
      out.answer(key, () => out.record(key, KEY_FIELDS));
    });
  orgs
    .command('suspend')
    .description('suspend an org: its credentials are refused and its tasks are not matched')
    .argument('<org_id>')
    .option('--reason <text>')
    .action(async (orgId: string, { reason }: { reason?: string }, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const org = await api.admin.suspendOrg(orgId, givenOnly({ reason }));
      out.answer(org, () => out.record(org, FIELDS));
    });
  orgs
    .command('resume')
    .description('end the suspension of an org')
    .argument('<org_id>')
    .action(async (orgId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const org = await api.admin.resumeOrg(orgId);
      out.answer(org, () => out.record(org, FIELDS));
    });
}

const FIELDS = [
  'org_id',
  'name',
  'status',
  'suspension.at',
  'suspension.reason',
  'rate_limits',
  'usage',
  'ip_allowlist',
];
const LISTED = [
  'org_id',
  'status',
  'usage.open_tasks',
  'usage.workers',
  'usage.keys',
  'usage.evidence_bytes',
  'created_at',
  'name',
];
const KEY_FIELDS = ['key_id', 'mode', 'name', 'scopes', 'pools', 'expires_at', 'key'];

interface KeyFlags {
  name: string;
  scope?: CreateOrgApiKeyRequest['scopes'];
  pool?: string[];
  expiresAt?: string;
  test?: true;
}

interface UpdateFlags {
  name?: string;
  rateLimitKey?: Quota | null;
  rateLimitOrg?: Quota | null;
  quota: Record<string, number | null>;
  ipAllowlist?: string[];
}

function quota(text: string): Quota | null {
  const parsed = text === 'default' ? null : parseQuota(text);
  if (parsed === null && text !== 'default')
    throw new InvalidArgumentError('It must be requests/seconds, such as 600/60, or default.');
  return parsed;
}

function storageQuota(text: string, before: Record<string, number | null>): Record<string, number | null> {
  const [, name = '', limit = ''] = /^([a-z_]+)=(\d{1,15}|default)$/.exec(text) ?? [];
  if (!QUOTA_NAMES.some((known) => known === name))
    throw new InvalidArgumentError(
      `It must be name=limit or name=default; the names are: ${QUOTA_NAMES.join(', ')}.`,
    );
  return { ...before, [name]: limit === 'default' ? null : Number(limit) };
}

function networks(text: string): string[] {
  return text.split(',').flatMap((one) => one.trim() || []);
}
