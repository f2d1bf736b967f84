// @biolayer/sdk: hand work from software to people and wait for the answer.

export {
  type AuditMethods,
  BioLayer,
  type BulkActionMethods,
  type EventMethods,
  type WorkerMethods,
} from './biolayer.ts';
export {
  ApiError,
  BioLayerError,
  ConnectionError,
  OutputError,
  TaskNotCompletedError,
  TimeoutError,
  WaitTimeoutError,
  WebhookVerificationError,
} from './errors.ts';
export type { OrgStreamEvent, StreamEvent, StreamOptions, WorkerEvent } from './events.ts';
export type * from './generated/client.schemas.ts';
export type {
  CreateTaskBody,
  GetStatsQuery,
  ListEventsQuery,
  ListTasksQuery,
  ListWorkersQuery,
  StreamEventsQuery,
} from './generated/client.ts';
export type { CompletedTask, OutputOf } from './output.ts';
export { PagePromise } from './pages.ts';
export type { CreateAndWaitOptions, TaskMethods, WaitOptions } from './task-methods.ts';
export type { BioLayerOptions, RequestOptions } from './transport.ts';
export { unwrapWebhook, type WebhookHeaders } from './webhooks.ts';
