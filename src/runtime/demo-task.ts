// The task of the demo for a person: a worker who becomes available in the portal is offered it. Anyone can do it at their desk.

import { BioLayer, type CreateTaskBody } from '@biolayer/sdk';
import { OPEN } from '../state/tasks/filters.ts';

const PRODUCT = 'demo';

/** @param workerId who alone may do it, so that the program of the quick start is not offered it. */
function demoTask(workerId: string, poolId: string): CreateTaskBody {
  return {
    origin: { product: PRODUCT, request_id: 'first-task' },
    task_type: 'inspection',
    domain: 'demo',
    title: 'Check the exit nearest to you',
    instructions: [
      'Go to the **nearest exit** and look at it:',
      '',
      '1. Is the way free, without boxes or furniture?',
      '2. Does the sign light up?',
      '3. Take a photo in which the whole door can be seen.',
    ].join('\n'),
    context: {
      background: 'The yearly fire inspection is next week.',
      constraints: ['Do not open the door when it is alarmed.'],
      risk_notes: ['Look out for people who come the other way.'],
    },
    sla: { urgency: 'low' },
    requirements: { worker_pool_id: poolId, worker_ids: [workerId] },
    output: {
      expected_format: 'structured_json',
      schema: {
        type: 'object',
        properties: {
          way_is_free: { type: 'boolean', title: 'Is the way free?' },
          sign: { enum: ['lit', 'dark', 'missing'], title: 'Sign above the door' },
          width_cm: {
            type: 'integer',
            title: 'Width of the door',
            description: 'In cm, estimated.',
            minimum: 40,
            maximum: 400,
          },
          remarks: { type: 'string', title: 'Remarks', maxLength: 1000 },
        },
        required: ['way_is_free', 'sign'],
        additionalProperties: false,
      },
      evidence_required: true,
      evidence_types: ['image/*'],
      review: { mode: 'manual' },
    },
  };
}

/** Creates the task unless one is open. @param url origin of the server. @throws ApiError when the org may not create it */
export async function ensureDemoTask(
  url: string,
  { api_key, pool_id }: { api_key: string; pool_id: string },
  workerId: string,
): Promise<void> {
  const { tasks } = new BioLayer({ apiKey: api_key, baseUrl: url });
  const { data } = await tasks.list({ product: [PRODUCT], status: OPEN, limit: 1 });
  if (data.length === 0) await tasks.create(demoTask(workerId, pool_id));
}
