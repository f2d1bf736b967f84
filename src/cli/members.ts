// `biolayer members`: the members of the org, who can sign in.

import type { CreateMemberRequest } from '@biolayer/sdk';
import { type Command, Option } from 'commander';
import { addPageFlags, collect, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { addRemoveCommand } from './remove-command.ts';
import { openSession, readText, type Streams } from './session.ts';
import { addSessionCommands } from './session-commands.ts';

const FIELDS = ['member_id', 'email', 'name', 'role', 'scopes', 'pools', 'disabled'];

const ROLES = ['owner', 'manager', 'reviewer', 'viewer'] as const;

interface CreateFlags {
  email: string;
  name: string;
  role?: CreateMemberRequest['role'];
  scope?: CreateMemberRequest['scopes'];
  pool?: string[];
  passwordFile?: string;
}

/** Adds `biolayer members`. */
export function addMemberCommands(program: Command, streams: Streams): void {
  const members = program
    .command('members')
    .description('members, who can sign in and authorize OAuth clients');
  members
    .command('create')
    .description('create a member; a generated password is shown only once')
    .requiredOption('--email <address>')
    .requiredOption('--name <name>')
    .addOption(new Option('--role <role>', 'a named set of scopes').choices(ROLES))
    .option('--scope <scope>', 'what they may do, besides the role; repeatable', collect)
    .option('--pool <pool_id>', 'limit them to these pools; repeatable', collect)
    .option('--password-file <file>', 'file with their password (default: a generated one)')
    .action(async (flags: CreateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { email, name, role, scope: scopes, pool: pools, passwordFile } = flags;
      const password =
        passwordFile === undefined ? undefined : (await readText(passwordFile)).replace(/\r?\n$/, '');
      const body = givenOnly({ email, name, role, scopes, pools, password });
      const member = await api.members.create(body);
      out.answer(member, () =>
        out.record(member, passwordFile === undefined ? [...FIELDS, 'password'] : FIELDS),
      );
    });
  addPageFlags(members.command('list'))
    .description('list members')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const page = await api.members.list(pageQuery(flags));
      showPage(out, page, FIELDS);
    });
  addSessionCommands(members, 'member', 'access tokens of OAuth clients', streams);
  addRemoveCommand(
    members,
    'member_id',
    'remove a member; all access tokens issued for them become invalid at once',
    (api, id) => api.members.delete(id),
    streams,
  );
}
