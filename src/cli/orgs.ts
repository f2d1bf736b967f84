// `biolayer orgs`: for the operator.

import type { Command } from 'commander';
import { openSession, type Streams } from './session.ts';

export function addOrgCommands(program: Command, streams: Streams): void {
  const orgs = program.command('orgs').description('orgs, for the operator');
  orgs
    .command('create')
    .description('create an org with its first API key, which is shown this once')
    .requiredOption('--name <name>')
    .action(async ({ name }: { name: string }, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const org = await api.send('POST', '/admin/orgs', { body: { name } });
      out.answer(org, () => out.record(org, ['org_id', 'name', 'api_key']));
    });
}
