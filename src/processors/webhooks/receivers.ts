// Who a delivery goes to: the task's own callback URL, or an endpoint of the org. What is secret in either is
// opened here. Endpoints and secrets are read again after a second.

import { hash } from 'node:crypto';
import type { CallbackAuth, Handoff } from '../../state/tasks/task.ts';
import { webhookBody } from '../../state/tasks/view.ts';
import type { Endpoint } from '../../state/webhooks/endpoint.ts';
import { SIGNING_SECRETS } from '../../state/webhooks/secret.ts';
import {
  callbackAuthContext,
  loadOrg,
  signingSecrets,
  webhookSecretContext,
} from '../../store/identity/orgs.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { Sealer } from '../../store/redis/sealing.ts';
import type { DeliveryTarget, Taken } from '../../store/webhooks/deliveries.ts';
import { endpointContext, loadEndpoint } from '../../store/webhooks/endpoints.ts';

export interface Receiver {
  url: string;
  /** The headers of its own, beside those of every delivery. */
  headers: Record<string, string>;
  /** All that sign, the current one first: `whsec_…` or `whsk_…`. */
  secrets: readonly string[];
  retryPolicy: Handoff['retry_policy'];
  /** Whether it is told of a task's events one after the other. */
  inOrder: boolean;
  /** What tells it from other receivers: `receiverName`. */
  name: string;
}

/** What tells a receiver from others: its id as an endpoint, or a hash of the callback URL of the org. */
export function receiverName({ org_id, endpoint_id }: DeliveryTarget, url: string): string {
  if (endpoint_id !== undefined) return endpoint_id;
  return `cb-${hash('sha256', `${org_id} ${url}`, 'base64url').slice(0, 22)}`;
}

export interface Dispatch {
  receiver: Receiver;
  id: string;
  body: string;
}

/** An endpoint that takes deliveries. */
interface OpenEndpoint {
  inOrder: boolean;
  /** Opens its secrets. @throws UnopenableError */
  receiver(): Receiver;
}

interface Sealed {
  sealed: string;
  expires_at: number | null;
}

/** What is read is believed for this long, ms; a rotation overlaps for longer. */
const REMEMBERED = 1000;
const REMEMBERED_MOST = 10_000;

export class Receivers {
  readonly #db: Db;
  readonly #sealer: Sealer;
  readonly #known = new Map<string, { until: number; value: Promise<unknown> }>();

  constructor(db: Db, sealer: Sealer) {
    this.#db = db;
    this.#sealer = sealer;
  }

  /** Whether an endpoint is told in order; null when there is none, or it is disabled. */
  async isInOrder(orgId: string, endpointId: string): Promise<boolean | null> {
    return (await this.#endpoint(orgId, endpointId))?.inOrder ?? null;
  }

  /** What is to be sent and where; null when there is nothing, or nobody, any more. @throws UnopenableError */
  async dispatchOf(owed: DeliveryTarget, { told, message, gone }: Taken): Promise<Dispatch | null> {
    const { org_id, endpoint_id } = owed;
    if (endpoint_id === undefined) {
      const handoff = told?.task.input.handoff;
      if (told === null || handoff?.callback_url === undefined || gone) return null;
      return {
        receiver: await this.#callback(owed, handoff.callback_url, handoff),
        id: told.event.event_id,
        body: webhookBody(told.task, told.event),
      };
    }
    const endpoint = await this.#endpoint(org_id, endpoint_id);
    if (endpoint === null) return null;
    const receiver = endpoint.receiver();
    if (message !== null) return { receiver, id: message.id, body: message.body };
    if (told === null) return null;
    return { receiver, id: told.event.event_id, body: webhookBody(told.task, told.event) };
  }

  async #callback(owed: DeliveryTarget, url: string, handoff: Handoff): Promise<Receiver> {
    const { org_id: orgId } = owed;
    const secrets = await this.#remember(`org ${orgId}`, async () => {
      const org = await loadOrg(this.#db, orgId);
      return this.#valid(org === null ? [] : signingSecrets(org, orgId), webhookSecretContext(orgId));
    });
    return {
      url,
      headers: this.#authorization(orgId, handoff.callback_auth),
      secrets,
      retryPolicy: handoff.retry_policy,
      inOrder: handoff.ordering === 'per_task',
      name: receiverName(owed, url),
    };
  }

  #authorization(orgId: string, auth: CallbackAuth): Record<string, string> {
    if (auth.type === 'none') return {};
    const plain = this.#sealer.open(auth.sealed, callbackAuthContext(orgId));
    return { authorization: `${auth.type === 'bearer' ? 'Bearer' : 'Basic'} ${plain}` };
  }

  #endpoint(orgId: string, id: string): Promise<OpenEndpoint | null> {
    return this.#remember(`endpoint ${orgId} ${id}`, async () => {
      const endpoint = await loadEndpoint(this.#db, orgId, id);
      if (!endpoint?.enabled) return null;
      let opened: Receiver | null = null;
      const receiver = () => {
        opened ??= this.#opened(endpoint);
        return opened;
      };
      return { inOrder: endpoint.ordering === 'per_task', receiver };
    });
  }

  #opened(endpoint: Endpoint): Receiver {
    const place = endpointContext(endpoint);
    const { url, headers, secrets, retry_policy, ordering } = endpoint;
    return {
      url,
      headers:
        headers === null
          ? {}
          : (JSON.parse(this.#sealer.open(headers.sealed, place)) as Record<string, string>),
      secrets: this.#valid(secrets, place),
      retryPolicy: retry_policy,
      inOrder: ordering === 'per_task',
      name: endpoint.endpoint_id,
    };
  }

  #valid(secrets: readonly Sealed[], place: string): string[] {
    const now = this.#db.clock.now();
    const valid = secrets.filter((one) => one.expires_at === null || one.expires_at > now);
    return valid.slice(0, SIGNING_SECRETS).map((one) => this.#sealer.open(one.sealed, place));
  }

  /** Null is not remembered: what is sent again when an endpoint was just enabled would be stopped. */
  #remember<T>(name: string, load: () => Promise<T>): Promise<T> {
    const now = performance.now();
    const known = this.#known.get(name);
    if (known !== undefined && known.until > now) return known.value as Promise<T>;
    const value = load();
    const forget = () => this.#known.delete(name);
    value.then((found) => found === null && forget(), forget);
    if (this.#known.size >= REMEMBERED_MOST) this.#known.clear();
    this.#known.set(name, { until: now + REMEMBERED, value });
    return value;
  }
}
