// `biolayer issuers`: external issuers whose access tokens the org accepts.

import type { Command } from 'commander';
import { UsageError } from './faults.ts';
import { addPageFlags, collect, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { addRemoveCommand } from './remove-command.ts';
import { openSession, type Streams } from './session.ts';

const FIELDS = ['issuer_id', 'name', 'issuer', 'audience', 'jwks_uri', 'token_type', 'scope_claim', 'pools'];

interface CreateFlags {
  name: string;
  issuer: string;
  jwksUri: string;
  map: string[];
  audience?: string;
  scopeClaim?: string;
  pool?: string[];
}

/** Adds `biolayer issuers`. */
export function addIssuerCommands(program: Command, streams: Streams): void {
  const issuers = program.command('issuers').description('external issuers of access tokens');
  issuers
    .command('create')
    .description('trust an external issuer')
    .requiredOption('--name <name>')
    .requiredOption('--issuer <iss>', 'iss claim of its tokens')
    .requiredOption('--jwks-uri <url>', 'URL of its public keys')
    .requiredOption('--map <value=scope>', 'scope that a value of the claim grants; repeatable', collect)
    .option('--audience <aud>', 'aud claim of its tokens (default: urn:biolayer:org:<org_id>)')
    .option('--scope-claim <name>', 'claim that --map applies to (default: scope)')
    .option('--pool <pool_id>', 'limit its tokens to these pools; repeatable', collect)
    .action(async (flags: CreateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { name, issuer, jwksUri: jwks_uri, audience, scopeClaim: scope_claim, pool: pools } = flags;
      const scope_map = mapOf(flags.map);
      const body = givenOnly({ name, issuer, jwks_uri, audience, scope_claim, scope_map, pools });
      const made = await api.issuers.create(body);
      out.answer(made, () => out.record(made, FIELDS));
    });
  addPageFlags(issuers.command('list'))
    .description('list external issuers')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const page = await api.issuers.list(pageQuery(flags));
      showPage(out, page, FIELDS);
    });
  addRemoveCommand(
    issuers,
    'issuer_id',
    'stop trusting an external issuer; its tokens are refused at once',
    (api, id) => api.issuers.delete(id),
    streams,
  );
}

/** Parses pairs such as `write=tasks:create`; a value may have several scopes. @throws UsageError */
function mapOf(pairs: readonly string[]): Record<string, string[]> {
  const map = new Map<string, string[]>();
  for (const pair of pairs) {
    const cut = pair.lastIndexOf('=');
    if (cut < 1) throw new UsageError(`"${pair}" is not of the form value=scope.`);
    const value = pair.slice(0, cut);
    map.set(value, [...(map.get(value) ?? []), pair.slice(cut + 1)]);
  }
  return Object.fromEntries(map);
}
