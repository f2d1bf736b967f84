// The client: one resource a property.

import { follow, type OrgStreamEvent, type StreamOptions, type WorkerEvent } from './events.ts';
import type {
  BulkAction,
  BulkActionPreview,
  CreateBulkActionRequest,
  ExportAuditQuery,
  StreamEventsQuery,
} from './generated/client.ts';
import { type Resource, resource } from './methods.ts';
import { RESOURCES } from './resources.ts';
import { type TaskMethods, taskMethods } from './task-methods.ts';
import { type BioLayerOptions, type RequestOptions, Transport } from './transport.ts';

type Table = typeof RESOURCES;

export interface EventMethods extends Resource<Table['events']> {
  /**
   * The events of the org from now on, or from `lastEventId`. Goes on after broken connections; nothing is skipped.
   * @throws ApiError when the server refuses the stream
   */
  stream(query?: StreamEventsQuery, options?: StreamOptions): AsyncGenerator<OrgStreamEvent>;
}

export interface WorkerMethods extends Resource<Table['worker']> {
  /** Changes of the worker's offers and tasks, like `events.stream`. */
  stream(options?: StreamOptions): AsyncGenerator<WorkerEvent>;
}

export interface BulkActionMethods extends Omit<Resource<Table['bulkActions']>, 'create'> {
  /** Count what a bulk action would change. */
  create(
    body: CreateBulkActionRequest & { dry_run: true },
    options?: RequestOptions,
  ): Promise<BulkActionPreview>;
  /** Start a bulk action. */
  create(body: CreateBulkActionRequest & { dry_run?: false }, options?: RequestOptions): Promise<BulkAction>;
  create(body: CreateBulkActionRequest, options?: RequestOptions): Promise<BulkAction | BulkActionPreview>;
}

export interface AuditMethods extends Omit<Resource<Table['audit']>, 'export'> {
  /** Export the audit log and histories, as lines of JSON. The stream has no time limit unless `timeoutMs` is given. */
  export(query?: ExportAuditQuery, options?: RequestOptions): Promise<ReadableStream<Uint8Array>>;
}

/**
 * A client of the BioLayer API. Every method returns a promise and throws a `BioLayerError`; lists can be awaited (one page)
 * or iterated (all items). Requests are repeated after broken connections and passing errors; a POST carries an
 * idempotency key, so that none has a second effect.
 */
export class BioLayer {
  readonly tasks: TaskMethods;
  readonly events: EventMethods;
  readonly worker: WorkerMethods;
  readonly bulkActions: BulkActionMethods;
  readonly taskTypes: Resource<Table['taskTypes']>;
  readonly pools: Resource<Table['pools']>;
  readonly workers: Resource<Table['workers']>;
  readonly notificationChannels: Resource<Table['notificationChannels']>;
  readonly webhookEndpoints: Resource<Table['webhookEndpoints']>;
  readonly deliveries: Resource<Table['deliveries']>;
  readonly webhookSecret: Resource<Table['webhookSecret']>;
  readonly apiKeys: Resource<Table['apiKeys']>;
  readonly oauthClients: Resource<Table['oauthClients']>;
  readonly issuers: Resource<Table['issuers']>;
  readonly members: Resource<Table['members']>;
  readonly org: Resource<Table['org']>;
  readonly stats: Resource<Table['stats']>;
  readonly audit: AuditMethods;
  readonly admin: Resource<Table['admin']>;

  /** @throws TypeError when there is no API key, or `baseUrl` is no URL */
  constructor(options: BioLayerOptions = {}) {
    const transport = new Transport(options);
    const of = <Name extends keyof Table>(name: Name) => resource(transport, RESOURCES[name]);
    this.tasks = taskMethods(transport);
    this.events = {
      ...of('events'),
      stream: (query = {}, given = {}) => follow(transport, 'streamEvents', query, given),
    };
    this.worker = {
      ...of('worker'),
      stream: (given = {}) => follow(transport, 'streamWorkerFeed', {}, given),
    };
    this.bulkActions = of('bulkActions') as BulkActionMethods;
    this.taskTypes = of('taskTypes');
    this.pools = of('pools');
    this.workers = of('workers');
    this.notificationChannels = of('notificationChannels');
    this.webhookEndpoints = of('webhookEndpoints');
    this.deliveries = of('deliveries');
    this.webhookSecret = of('webhookSecret');
    this.apiKeys = of('apiKeys');
    this.oauthClients = of('oauthClients');
    this.issuers = of('issuers');
    this.members = of('members');
    this.org = of('org');
    this.stats = of('stats');
    this.audit = {
      ...of('audit'),
      export: (query = {}, given = {}) =>
        transport.call('exportAudit', { query }, given) as Promise<ReadableStream<Uint8Array>>,
    };
    this.admin = of('admin');
  }
}
