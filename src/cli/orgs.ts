// `biolayer orgs`: orgs, for the operator.

import { type Command, InvalidArgumentError } from 'commander';
import { QUOTA_NAMES } from '../state/access/storage-quotas.ts';
import { parseQuota, type Quota } from '../state/access/token-bucket.ts';
import { openSession, type Streams } from './session.ts';

/** Adds `biolayer orgs`. */
export function addOrgCommands(program: Command, streams: Streams): void {
  const orgs = program.command('orgs').description('orgs, for the operator');
  orgs
    .command('create')
    .description('create an org and its first API key, which is shown only once')
    .requiredOption('--name <name>')
    .action(async ({ name }: { name: string }, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const org = await api.send('POST', '/admin/orgs', { body: { name } });
      out.answer(org, () => out.record(org, ['org_id', 'name', 'api_key']));
    });
  orgs
    .command('get')
    .description('show an org with its limits and its allowlist')
    .argument('<org_id>')
    .action(async (orgId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const org = await api.send('GET', `/admin/orgs/${encodeURIComponent(orgId)}`);
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
        name,
        ip_allowlist,
        ...(Object.keys(limits).length > 0 && { rate_limits: limits }),
        ...(Object.keys(quotas).length > 0 && { quotas }),
      };
      const changed = await api.send('PATCH', `/admin/orgs/${encodeURIComponent(orgId)}`, { body });
      out.answer(changed, () => out.record(changed, FIELDS));
    });
}

const FIELDS = ['org_id', 'name', 'rate_limits', 'usage', 'ip_allowlist'];

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
