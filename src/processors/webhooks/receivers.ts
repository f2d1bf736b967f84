// The receiver of a delivery: the task's own callback URL, or an endpoint of the org. Its secrets are opened here.
// Endpoints and secrets are cached for a second.

import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { atMost } from '../../state/cache-entries.ts';
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
import type { LeasedDelivery } from '../../store/webhooks/delivery-lease.ts';
import type { DeliveryTarget } from '../../store/webhooks/delivery-target.ts';
import { endpointContext, loadEndpoint } from '../../store/webhooks/endpoints.ts';

export interface Receiver {
  url: string;
  /** Custom headers, in addition to those of every delivery. */
  headers: Record<string, string>;
  /** Signing secrets, the current one first: `whsec_…` or `whsk_…`. */
  secrets: readonly string[];
  retryPolicy: Handoff['retry_policy'];
  /** Whether it wants ordered delivery. */
  inOrder: boolean;
  /** From `receiverName`. */
  name: string;
}

/** Identifies a receiver: the endpoint's id, or a hash of org and callback URL. */
export function receiverName({ org_id, endpoint_id }: DeliveryTarget, url: string): string {
  if (endpoint_id !== undefined) return endpoint_id;
  return `cb-${hash('sha256', `${org_id} ${url}`, 'base64url').slice(0, 22)}`;
}

export interface Dispatch {
  receiver: Receiver;
  id: string;
  body: string;
}

/** An enabled endpoint. */
interface EnabledEndpoint {
  inOrder: boolean;
  /** Opens its secrets. @throws UnopenableError */
  receiver(): Receiver;
}

interface Sealed {
  sealed: string;
  expires_at: number | null;
}

/** Cache time, ms; the overlap of a secret rotation is longer. */
const CACHE_TIME = 1000;
const MAX_CACHED = 10_000;

export class Receivers {
  readonly #db: Db;
  readonly #sealer: Sealer;
  readonly #cache = new LRUCache<string, Promise<unknown>>({ ...atMost(MAX_CACHED), ttl: CACHE_TIME });

  constructor(db: Db, sealer: Sealer) {
    this.#db = db;
    this.#sealer = sealer;
  }

  /** Whether an endpoint wants ordered delivery; null when there is none, or it is disabled. */
  async isInOrder(orgId: string, endpointId: string): Promise<boolean | null> {
    return (await this.#endpoint(orgId, endpointId))?.inOrder ?? null;
  }

  /** What to send and where; null when the event or the receiver no longer exists. @throws UnopenableError */
  async dispatchOf(
    target: DeliveryTarget,
    { subject, message, isCallbackStopped }: LeasedDelivery,
  ): Promise<Dispatch | null> {
    const { org_id, endpoint_id } = target;
    if (endpoint_id === undefined) {
      const handoff = subject?.task.input.handoff;
      if (subject === null || handoff?.callback_url === undefined || isCallbackStopped) return null;
      return {
        receiver: await this.#callback(target, handoff.callback_url, handoff),
        id: subject.event.event_id,
        body: webhookBody(subject.task, subject.event),
      };
    }
    const endpoint = await this.#endpoint(org_id, endpoint_id);
    if (endpoint === null) return null;
    const receiver = endpoint.receiver();
    if (message !== null) return { receiver, id: message.id, body: message.body };
    if (subject === null) return null;
    return { receiver, id: subject.event.event_id, body: webhookBody(subject.task, subject.event) };
  }

  async #callback(target: DeliveryTarget, url: string, handoff: Handoff): Promise<Receiver> {
    const { org_id: orgId } = target;
    const secrets = await this.#cached(`org ${orgId}`, async () => {
      const org = await loadOrg(this.#db, orgId);
      return this.#valid(org === null ? [] : signingSecrets(org, orgId), webhookSecretContext(orgId));
    });
    return {
      url,
      headers: this.#authorization(orgId, handoff.callback_auth),
      secrets,
      retryPolicy: handoff.retry_policy,
      inOrder: handoff.ordering === 'per_task',
      name: receiverName(target, url),
    };
  }

  #authorization(orgId: string, auth: CallbackAuth): Record<string, string> {
    if (auth.type === 'none') return {};
    const plain = this.#sealer.open(auth.sealed, callbackAuthContext(orgId));
    return { authorization: `${auth.type === 'bearer' ? 'Bearer' : 'Basic'} ${plain}` };
  }

  #endpoint(orgId: string, id: string): Promise<EnabledEndpoint | null> {
    return this.#cached(`endpoint ${orgId} ${id}`, async () => {
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
    const context = endpointContext(endpoint);
    const { url, headers, secrets, retry_policy, ordering } = endpoint;
    return {
      url,
      headers:
        headers === null
          ? {}
          : (JSON.parse(this.#sealer.open(headers.sealed, context)) as Record<string, string>),
      secrets: this.#valid(secrets, context),
      retryPolicy: retry_policy,
      inOrder: ordering === 'per_task',
      name: endpoint.endpoint_id,
    };
  }

  #valid(secrets: readonly Sealed[], context: string): string[] {
    const now = this.#db.clock.now();
    const valid = secrets.filter((one) => one.expires_at === null || one.expires_at > now);
    return valid.slice(0, SIGNING_SECRETS).map((one) => this.#sealer.open(one.sealed, context));
  }

  /** Null is not cached, or a redelivery right after an endpoint was enabled would be stopped. */
  #cached<T>(name: string, load: () => Promise<T>): Promise<T> {
    const known = this.#cache.get(name);
    if (known !== undefined) return known as Promise<T>;
    const value = load();
    const remove = () => this.#cache.delete(name);
    value.then((found) => found === null && remove(), remove);
    this.#cache.set(name, value);
    return value;
  }
}
