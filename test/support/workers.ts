// Workers for tests, who accept offers and do tasks through the API, and tasks that are brought to a given status.
import {
  type Client,
  createPool,
  freshName,
  type OfferView,
  type Org,
  type Page,
  type TaskView,
  type TestApi,
} from './api.ts';

/** A valid body of `POST /v1/tasks`. By default no worker has the required skill. */
export function taskBody(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    origin: { product: 'tests', request_id: freshName('request') },
    task_type: 'verification',
    domain: 'security',
    title: 'Look at it',
    instructions: 'Look at it and say what you see.',
    sla: { urgency: 'normal' },
    requirements: { skills: ['skill_of_nobody'] },
    output: { expected_format: 'structured_json', schema: { seen: 'boolean' } },
    ...fields,
  };
}

/** An output that is valid under the schema of `taskBody`. */
export const OUTPUT = { seen: true };

/** A worker with a client that uses their token. */
export class TestWorker {
  readonly worker_id: string;
  readonly client: Client;

  constructor(worker_id: string, client: Client) {
    this.worker_id = worker_id;
    this.client = client;
  }

  /** Waits for the offer of a task. @throws Error after 25 s. */
  async offerOf(taskId: string): Promise<OfferView> {
    const end = Date.now() + 25_000;
    while (Date.now() < end) {
      const { data } = await this.client.get<Page<OfferView>>('/v1/worker/offers?wait=5');
      const offer = data.find((one) => one.task_id === taskId);
      if (offer !== undefined) return offer;
    }
    throw new Error(`worker ${this.worker_id} was not offered task ${taskId}`);
  }

  async accept(taskId: string): Promise<TaskView> {
    const { offer_id } = await this.offerOf(taskId);
    return this.client.post<TaskView>(`/v1/worker/offers/${offer_id}/accept`);
  }

  start(taskId: string): Promise<TaskView> {
    return this.client.post<TaskView>(`/v1/worker/tasks/${taskId}/start`);
  }

  submit(taskId: string, output: unknown = OUTPUT, more: Record<string, unknown> = {}): Promise<TaskView> {
    return this.client.post<TaskView>(`/v1/worker/tasks/${taskId}/submit`, { output, ...more });
  }
}

/** Creates an available worker with a token. */
export async function createTestWorker(
  api: Pick<TestApi, 'client'>,
  client: Client,
  fields: Record<string, unknown> = {},
): Promise<TestWorker> {
  const { worker_id } = await client.post<{ worker_id: string }>('/v1/workers', {
    name: freshName('worker'),
    availability: 'available',
    ...fields,
  });
  const { token } = await client.post<{ token: string }>(`/v1/workers/${worker_id}/tokens`);
  return new TestWorker(worker_id, api.client(token));
}

export type TargetStatus =
  | 'queued'
  | 'offered'
  | 'accepted'
  | 'started'
  | 'submitted'
  | 'completed'
  | 'failed'
  | 'cancelled';

const STEPS: readonly TargetStatus[] = ['queued', 'offered', 'accepted', 'started', 'submitted'];

export interface TaskInStatus {
  task: TaskView;
  person: TestWorker;
  poolId: string;
}

/**
 * Creates a task in its own pool with one worker and brings it to a status through the API. Needs the processors for every
 * status except `queued` and `cancelled`.
 */
export async function createTaskIn(
  api: Pick<TestApi, 'client'>,
  org: Pick<Org, 'client'>,
  status: TargetStatus,
  fields: Record<string, unknown> = {},
): Promise<TaskInStatus> {
  const { client } = org;
  const waits = status === 'queued' || status === 'cancelled';
  const poolId = await createPool(client);
  const person = await createTestWorker(api, client, {
    pool_ids: [poolId],
    availability: waits ? 'away' : 'available',
  });
  const output = {
    expected_format: 'structured_json',
    schema: { seen: 'boolean' },
    review: { mode: status === 'completed' ? 'auto' : 'manual' },
  };
  const body = taskBody({ output, requirements: { worker_pool_id: poolId }, ...fields });
  const { task_id } = await client.post<TaskView>('/v1/tasks', body);
  const last = STEPS.includes(status) ? STEPS.indexOf(status) : STEPS.length - 1;
  if (!waits) {
    if (last >= 1) await person.offerOf(task_id);
    if (last >= 2) await person.accept(task_id);
    if (last >= 3) await person.start(task_id);
    if (last >= 4) await person.submit(task_id);
  }
  if (status === 'cancelled') await client.post(`/v1/tasks/${task_id}/cancel`);
  if (status === 'failed')
    await client.post(`/v1/tasks/${task_id}/review`, { decision: 'reject', feedback: 'wrong' });
  const wait = status === 'completed' ? '?wait=30' : '';
  const task = await client.get<TaskView>(`/v1/tasks/${task_id}${wait}`);
  if (task.status !== status) throw new Error(`task ${task_id} is ${task.status}, not ${status}`);
  return { task, person, poolId };
}
