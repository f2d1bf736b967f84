// `biolayer clients`: the org's OAuth clients.

import type { CreateOAuthClientRequest } from '@biolayer/sdk';
import { type Command, Option } from 'commander';
import { addPageFlags, collect, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { addRemoveCommand } from './remove-command.ts';
import { openSession, type Streams } from './session.ts';

const FIELDS = ['client_id', 'name', 'grant_types', 'public', 'redirect_uris', 'scopes', 'pools'];

interface CreateFlags {
  name: string;
  scope: CreateOAuthClientRequest['scopes'];
  pool?: string[];
  grantType?: 'client_credentials' | 'authorization_code';
  redirectUri?: string[];
  public?: true;
}

/** Adds `biolayer clients`. */
export function addClientCommands(program: Command, streams: Streams): void {
  const clients = program.command('clients').description('OAuth clients');
  clients
    .command('create')
    .description('create an OAuth client; its secret is shown only once')
    .requiredOption('--name <name>')
    .requiredOption('--scope <scope>', 'upper limit of the scopes of its tokens; repeatable', collect)
    .option('--pool <pool_id>', 'limit its tokens to these pools; repeatable', collect)
    .addOption(
      new Option('--grant-type <type>', 'default: client_credentials').choices([
        'client_credentials',
        'authorization_code',
      ]),
    )
    .option('--redirect-uri <url>', 'where users return to after they sign in; repeatable', collect)
    .option('--public', 'it cannot keep a secret, such as an app on a device or in a browser')
    .action(async (flags: CreateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { name, scope: scopes, pool: pools, grantType, redirectUri: redirect_uris } = flags;
      const grant_types = grantType === undefined ? undefined : [grantType];
      const body = givenOnly({ name, scopes, pools, grant_types, redirect_uris, public: flags.public });
      const client = await api.oauthClients.create(body);
      out.answer(client, () => out.record(client, flags.public ? FIELDS : [...FIELDS, 'client_secret']));
    });
  addPageFlags(clients.command('list'))
    .description('list OAuth clients')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const page = await api.oauthClients.list(pageQuery(flags));
      showPage(out, page, FIELDS);
    });
  clients
    .command('rotate')
    .description('replace the secret of an OAuth client; the old one becomes invalid at once')
    .argument('<client_id>')
    .action(async (clientId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const client = await api.oauthClients.rotateSecret(clientId);
      out.answer(client, () => out.record(client, ['client_id', 'name', 'client_secret']));
    });
  addRemoveCommand(
    clients,
    'client_id',
    'remove an OAuth client; all its tokens become invalid at once',
    (api, id) => api.oauthClients.delete(id),
    streams,
  );
}
