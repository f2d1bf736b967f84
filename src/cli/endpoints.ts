// `biolayer webhooks endpoints`: the org's receivers of the events of all its tasks.

import type { CreateWebhookEndpointRequest, UpdateWebhookEndpointRequest } from '@biolayer/sdk';
import { type Command, Option } from 'commander';
import { addPageFlags, asNumber, collect, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { parseJson } from './json.ts';
import { openSession, readText, type Streams } from './session.ts';

const FIELDS = [
  'endpoint_id',
  'url',
  'description',
  'events',
  'enabled',
  'disabled.reason',
  'disabled.at',
  'failing_since',
  'signature',
  'public_key',
  'header_names',
  'previous_secret_expires_at',
  'retry_policy.max_retries',
  'retry_policy.backoff_seconds',
  'ordering',
  'created_at',
];

type Fields = UpdateWebhookEndpointRequest;

interface FieldFlags {
  event?: Fields['events'];
  description?: string;
  headersFile?: string;
  maxRetries?: number;
  backoff?: number;
  ordering?: Fields['ordering'];
}

interface CreateFlags extends FieldFlags {
  disabled?: true;
  signature?: CreateWebhookEndpointRequest['signature'];
  secretFile?: string;
}

/** Adds `biolayer webhooks endpoints`. */
export function addEndpointCommands(webhooks: Command, streams: Streams): void {
  const endpoints = webhooks.command('endpoints').description('receivers of the events of all tasks');
  addFieldFlags(endpoints.command('create'))
    .description('register an endpoint; its secret is shown only once')
    .argument('<receiver>', 'its URL')
    .option('--disabled', 'register it disabled')
    .addOption(new Option('--signature <kind>', 'HMAC or Ed25519 (default: v1)').choices(['v1', 'v1a']))
    .option('--secret-file <file>', 'file with your own secret, whsec_…')
    .action(async (url: string, flags: CreateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { signature, disabled } = flags;
      const enabled = disabled ? false : undefined;
      const secret = await secretIn(flags.secretFile);
      const body = { url, ...(await fieldsOf(flags)), ...givenOnly({ enabled, signature, secret }) };
      const made = await api.webhookEndpoints.create(body);
      out.answer(made, () => out.record(made, [...FIELDS, 'secret']));
    });
  addPageFlags(endpoints.command('list'))
    .description('list endpoints')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const page = await api.webhookEndpoints.list(pageQuery(flags));
      const columns = ['endpoint_id', 'enabled', 'disabled.reason', 'failing_since', 'url'];
      showPage(out, page, columns);
    });
  endpoints
    .command('get')
    .description('show an endpoint')
    .argument('<endpoint_id>')
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const endpoint = await api.webhookEndpoints.get(id);
      out.answer(endpoint, () => out.record(endpoint, FIELDS));
    });
  addFieldFlags(endpoints.command('update'))
    .description('change an endpoint')
    .argument('<endpoint_id>')
    .option('--receiver <url>', 'its URL')
    .action(async (id: string, flags: FieldFlags & { receiver?: string }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const body = { ...givenOnly({ url: flags.receiver }), ...(await fieldsOf(flags)) };
      const endpoint = await api.webhookEndpoints.update(id, body);
      out.answer(endpoint, () => out.record(endpoint, FIELDS));
    });
  for (const [verb, what] of [
    ['enable', 'resume sending events to an endpoint, from now on'],
    ['disable', 'stop sending events to an endpoint'],
  ] as const)
    endpoints
      .command(verb)
      .description(what)
      .argument('<endpoint_id>')
      .action(async (id: string, _flags: unknown, command: Command) => {
        const { api, out } = await openSession(command, streams);
        const endpoint = await api.webhookEndpoints[verb](id);
        out.answer(endpoint, () => out.record(endpoint, FIELDS));
      });
  endpoints
    .command('rotate-secret')
    .description('replace the secret; the new one is shown only once, and both sign during an overlap')
    .argument('<endpoint_id>')
    .option('--overlap <seconds>', 'how long the old secret still signs (default: a day)', asNumber)
    .option('--secret-file <file>', 'file with your own secret, whsec_…')
    .action(async (id: string, flags: { overlap?: number; secretFile?: string }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const secret = await secretIn(flags.secretFile);
      const body = givenOnly({ overlap_seconds: flags.overlap, secret });
      const endpoint = await api.webhookEndpoints.rotateSecret(id, body);
      out.answer(endpoint, () => out.record(endpoint, [...FIELDS, 'secret']));
    });
  endpoints
    .command('test')
    .description('send a webhook_endpoint.test event; its delivery shows the result')
    .argument('<endpoint_id>')
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const sent = await api.webhookEndpoints.test(id);
      out.answer(sent, () => out.record(sent, ['event_id']));
    });
  endpoints
    .command('delete')
    .description('remove an endpoint; its pending deliveries are not sent')
    .argument('<endpoint_id>')
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      await api.webhookEndpoints.delete(id);
      out.answer({ endpoint_id: id, deleted: true }, () => out.line(`Deleted ${id}.`));
    });
}

function addFieldFlags(command: Command): Command {
  return command
    .option('--event <type>', 'event type to send, such as task.completed; repeatable', collect)
    .option('--description <text>')
    .option('--headers-file <file>', 'file with a JSON object of custom headers, name to value')
    .option('--max-retries <n>', '0 to 20', asNumber)
    .option('--backoff <seconds>', 'delay before the first retry', asNumber)
    .addOption(
      new Option('--ordering <kind>', 'per_task: events of a task in order; none: as they occur').choices([
        'none',
        'per_task',
      ]),
    );
}

/** The fields set by flags. @throws UsageError when a file cannot be read. */
async function fieldsOf(flags: FieldFlags): Promise<Fields> {
  const { event: events, description, headersFile, maxRetries, backoff, ordering } = flags;
  const policy = givenOnly({ max_retries: maxRetries, backoff_seconds: backoff });
  const retry_policy = Object.keys(policy).length === 0 ? undefined : policy;
  const headers =
    headersFile === undefined
      ? undefined
      : parseJson<Record<string, string>>(await readText(headersFile), headersFile);
  return givenOnly({ events, description, headers, retry_policy, ordering });
}

async function secretIn(file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : (await readText(file)).trim();
}
