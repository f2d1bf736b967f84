// `biolayer webhooks`: the signing secret, endpoints, deliveries, replays, redeliveries and stops.

import type { Command } from 'commander';
import { addDeliveryCommands } from './deliveries.ts';
import { addEndpointCommands } from './endpoints.ts';
import { addLetterRunCommands } from './letter-runs.ts';
import { addReplayCommands } from './replays.ts';
import { openSession, type Streams } from './session.ts';

/** Adds `biolayer webhooks`. */
export function addWebhookCommands(program: Command, streams: Streams): void {
  const webhooks = program.command('webhooks').description('webhooks');
  webhooks
    .command('secret')
    .description("print the secret that signs deliveries to tasks' own callback URLs")
    .action(async (_flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const secret = await api.webhookSecret.get();
      // Only the secret, for `WEBHOOK_SECRET="$(biolayer webhooks secret)"`.
      out.answer(secret, () => out.line(secret.secret));
    })
    .command('rotate')
    .description('replace the secret and print the new one; both sign for a day')
    .action(async (_flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const secret = await api.webhookSecret.rotate();
      out.answer(secret, () => out.line(secret.secret));
    });
  addEndpointCommands(webhooks, streams);
  addDeliveryCommands(webhooks, streams);
  addReplayCommands(webhooks, streams);
  addLetterRunCommands(webhooks, streams);
}
