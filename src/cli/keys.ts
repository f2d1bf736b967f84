// `biolayer keys`: the org's API keys.

import type { CreateApiKeyRequest } from '@biolayer/sdk';
import type { Command } from 'commander';
import { addPageFlags, asNumber, collect, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';

const FIELDS = ['key_id', 'mode', 'name', 'hint', 'scopes', 'pools', 'created_at', 'expires_at'];

interface CreateFlags {
  name: string;
  scope: CreateApiKeyRequest['scopes'];
  pool?: string[];
  expiresAt?: string;
  test?: true;
}

interface RotateFlags {
  expiresIn?: number;
  expiresAt?: string;
}

/** Adds `biolayer keys`. */
export function addKeyCommands(program: Command, streams: Streams): void {
  const keys = program.command('keys').description('API keys');
  keys
    .command('create')
    .description('create an API key; it is shown only once')
    .requiredOption('--name <name>')
    .requiredOption('--scope <scope>', 'what it may do, such as tasks:create; repeatable', collect)
    .option('--pool <pool_id>', 'limit it to these pools; repeatable', collect)
    .option('--expires-at <time>', 'RFC 3339')
    .option('--test', "a test key, for the org's sandbox")
    .action(async (flags: CreateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { name, scope: scopes, pool: pools, expiresAt: expires_at } = flags;
      const mode = flags.test ? ('test' as const) : undefined;
      const key = await api.apiKeys.create(givenOnly({ name, scopes, pools, expires_at, mode }));
      out.answer(key, () => out.record(key, [...FIELDS, 'key']));
    });
  addPageFlags(keys.command('list'))
    .description('list API keys')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const page = await api.apiKeys.list(pageQuery(flags));
      showPage(out, page, ['key_id', 'hint', 'name', 'scopes', 'pools', 'expires_at', 'last_used_at']);
    });
  keys
    .command('rotate')
    .description('replace a key; the new one is shown only once, and the old one stays valid for an overlap')
    .argument('<key_id>')
    .option('--expires-in <seconds>', 'how long the old key stays valid (default: a day)', asNumber)
    .option('--expires-at <time>', 'when the new key expires, RFC 3339 (default: as the old one)')
    .action(async (keyId: string, flags: RotateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { expiresIn: expires_in_seconds, expiresAt: expires_at } = flags;
      const key = await api.apiKeys.rotate(keyId, givenOnly({ expires_in_seconds, expires_at }));
      out.answer(key, () => out.record(key, [...FIELDS, 'key']));
    });
  keys
    .command('revoke')
    .description('revoke an API key; it becomes invalid at once')
    .argument('<key_id>')
    .action(async (keyId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      await api.apiKeys.revoke(keyId);
      out.answer({ key_id: keyId, revoked: true }, () => out.line(`Revoked ${keyId}.`));
    });
}
