// Examples of the operations that are used most: the task of the contract on its way from a program to a worker and back. The
// other examples are made from the schemas (`examples.ts`), also members that these do not name.

import type { Json } from './components.ts';
import { TASK_EXAMPLE } from './task-example.ts';

interface OperationExamples {
  request?: Json;
  /** Of a list, that of its only item. */
  response?: Json;
}

const TASK_ID = '01890a5d-ac96-774b-bcce-b302099a8057';
const ORG_ID = '01890a5d-aa10-7c51-9c0e-5d3c2b1f7a10';
const OFFER_ID = '01890a5d-b1f0-7f2a-8a57-2f4f0b7c9e31';
const WORKER_ID = 'ada';
const at = (time: string) => `2026-02-04T${time}.000Z`;

const OUTPUT = { reached_user: true, user_confirmed: true, notes: 'They ran it themselves.' };
const { origin, handoff, context, ...card } = TASK_EXAMPLE;
const QUEUED = {
  ...card,
  task_id: TASK_ID,
  org_id: ORG_ID,
  status: 'queued',
  version: 1,
  origin: { ...origin, org_id: ORG_ID },
  context,
  sla: { ...card.sla, breaches: [] },
  attempt: 1,
  ...{ assignment: null, submission: null, result: null, reviews: [], failure: null, cancellation: null },
  ...{ report: null, dispute: null, open_question: null, unread_messages: 0 },
  ...{ created_at: at('19:21:00'), updated_at: at('19:21:00'), completed_at: null },
};
const ASSIGNMENT = {
  worker_id: WORKER_ID,
  offer_id: OFFER_ID,
  offered_at: at('19:21:02'),
  accepted_at: at('19:21:20'),
  started_at: at('19:21:31'),
  submitted_at: at('19:28:05'),
};
const EVIDENCE_ID = '01890a64-1a40-7d1e-9b0f-6f1d2a3b4c5d';
const SUBMISSION = {
  output: OUTPUT,
  evidence: [
    {
      evidence_id: EVIDENCE_ID,
      name: 'call-note.txt',
      media_type: 'text/plain',
      bytes: 21,
      sha256: '6c1f8d1a1ce2f7be3c7ab0b0d0e5f4bb0b6f2a5f0d4f7f5f6e9a1c2b3d4e5f60',
    },
  ],
  notes: null,
  worker_id: WORKER_ID,
  submitted_at: at('19:28:05'),
};
const COMPLETED = {
  ...QUEUED,
  status: 'completed',
  version: 8,
  assignment: ASSIGNMENT,
  submission: SUBMISSION,
  result: SUBMISSION,
  updated_at: at('19:28:06'),
  completed_at: at('19:28:06'),
};
const WORKERS_VIEW = {
  task_id: TASK_ID,
  task_type: card.task_type,
  domain: card.domain,
  title: card.title,
  instructions: card.instructions,
  context,
  sla: card.sla,
  output: card.output,
  attempt: 1,
  feedback: null,
  created_at: at('19:21:00'),
  updated_at: at('19:21:20'),
};
const ACCEPTED = {
  ...WORKERS_VIEW,
  status: 'accepted',
  version: 4,
  assignment: { ...ASSIGNMENT, started_at: null, submitted_at: null },
  ...{ submission: null, dispute: null, disputable_until: null, open_question: null, unread_messages: 0 },
};
const WORKER = {
  worker_id: WORKER_ID,
  name: 'Ada',
  pool_ids: ['first-line'],
  skills: ['phone_verification', 'incident_response'],
  certifications: ['soc-operator'],
  trust_level: 4,
  capacity: 3,
  availability: 'available',
};
const ENDPOINT = {
  url: 'https://example.com/webhooks/biolayer',
  description: 'Results for the incident service',
  events: ['task.completed', 'task.failed', 'task.cancelled'],
};

/** By operation id. */
export const OPERATION_EXAMPLES: Readonly<Record<string, OperationExamples>> = {
  createTask: { response: QUEUED },
  getTask: { response: COMPLETED },
  listTasks: { response: QUEUED },
  cancelTask: {
    request: { reason: 'The alert was closed.' },
    response: {
      ...QUEUED,
      status: 'cancelled',
      version: 3,
      cancellation: {
        reason: 'The alert was closed.',
        cancelled_by: 'api_key:01890a5d-a0b0-7a3c-8d11-0c9b8a7f6e5d',
      },
      updated_at: at('19:24:00'),
    },
  },
  reviewTask: {
    request: { decision: 'approve', feedback: 'Clear and complete.', rating: 5 },
    response: COMPLETED,
  },
  listOffers: {
    response: {
      offer_id: OFFER_ID,
      task_id: TASK_ID,
      status: 'pending',
      offered_at: at('19:21:02'),
      expires_at: at('19:22:02'),
      task: WORKERS_VIEW,
    },
  },
  acceptOffer: { response: ACCEPTED },
  submitTask: {
    request: { output: OUTPUT, evidence_ids: [EVIDENCE_ID] },
    response: {
      ...ACCEPTED,
      status: 'completed',
      version: 8,
      assignment: ASSIGNMENT,
      submission: SUBMISSION,
      updated_at: at('19:28:06'),
    },
  },
  createWorker: {
    request: WORKER,
    response: {
      ...WORKER,
      ...{ unpooled_tasks: true, rating: 5, draining: false, active_tasks: 0, rating_count: 0 },
      ...{ acceptance_rate: null, lapse_rate: null, accuracy: null, accuracy_count: 0 },
      created_at: at('08:00:00'),
      updated_at: at('08:00:00'),
    },
  },
  createWebhookEndpoint: {
    request: ENDPOINT,
    response: {
      ...ENDPOINT,
      ...{ enabled: true, disabled: null, failing_since: null, public_key: null },
      ...{ previous_secret_expires_at: null, header_names: [] },
    },
  },
  listEvents: {
    response: {
      task_id: TASK_ID,
      event_id: '01890a64-1b2c-7e4d-8f50-a1b2c3d4e5f6',
      type: 'task.cancelled',
      sequence: 3,
      status: 'cancelled',
      previous_status: 'queued',
      at: at('19:24:00'),
      actor: 'api_key:01890a5d-a0b0-7a3c-8d11-0c9b8a7f6e5d',
      attempt_of_task: 1,
      data: {
        cancellation: {
          reason: 'The alert was closed.',
          cancelled_by: 'api_key:01890a5d-a0b0-7a3c-8d11-0c9b8a7f6e5d',
        },
      },
    },
  },
};

/** The example made from a schema, with the members of the one for the operation instead of its own. */
export function withMembers(made: unknown, own: Json | undefined): unknown {
  if (own === undefined || typeof made !== 'object' || made === null) return made;
  const { data } = made as { data?: unknown };
  if (Array.isArray(data))
    return { ...made, data: [withMembers(data[0], own)], has_more: false, next_cursor: null };
  return { ...made, ...own };
}
