// The type of a task's output comes from the JSON Schema in the request, a validator, or the caller. The compiler checks
// this file; the test only runs what needs no server.
import {
  BioLayer,
  type CreateTaskBody,
  type HistoryEntry,
  type OrgStreamEvent,
  type WorkerEvent,
  type WorkerTask,
} from '@biolayer/sdk';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { expectTypeOf, test } from 'vitest';

const client = new BioLayer({ apiKey: 'blk_test_none' });
const body = {
  origin: { product: 'types', request_id: 'r-1' },
  task_type: 'verification',
  domain: 'security',
  title: 'Look at it',
  instructions: 'Look at it and say what you see.',
  sla: { urgency: 'normal' },
} satisfies Partial<CreateTaskBody>;

test('the output has the type of the schema, the validator or the type argument', () => {
  const bySchema = () =>
    client.tasks.createAndWait({
      ...body,
      output: {
        expected_format: 'structured_json',
        schema: {
          type: 'object',
          properties: { seen: { type: 'boolean' }, score: { type: 'integer' } },
          required: ['seen'],
          additionalProperties: false,
        },
      },
    });
  expectTypeOf<Awaited<ReturnType<typeof bySchema>>['result']['output']>().toEqualTypeOf<{
    seen: boolean;
    score?: number;
  }>();
  const validator = {} as StandardSchemaV1<unknown, { seen: Date }>;
  const byValidator = () => client.tasks.createAndWait(body as CreateTaskBody, { output: validator });
  expectTypeOf<Awaited<ReturnType<typeof byValidator>>['result']['output']>().toEqualTypeOf<{ seen: Date }>();
  const byName = () => client.tasks.createAndWait<{ seen: string }>(body as CreateTaskBody);
  expectTypeOf<Awaited<ReturnType<typeof byName>>['result']['output']>().toEqualTypeOf<{ seen: string }>();
  const list = () => client.tasks.list({ status: ['queued'] });
  expectTypeOf<Awaited<ReturnType<typeof list>>['data'][number]['task_id']>().toEqualTypeOf<string>();
});

test('the data of an event has the members of its type', () => {
  const entry = {} as HistoryEntry;
  if (entry.type === 'task.failed') expectTypeOf(entry.data.failure.code).toEqualTypeOf<string>();
  const event = {} as OrgStreamEvent;
  if (event.type === 'task.cancelled')
    expectTypeOf(event.data.data.cancellation.cancelled_by).toEqualTypeOf<string>();
  const change = {} as WorkerEvent;
  if (change.type === 'task') expectTypeOf(change.data).toEqualTypeOf<WorkerTask>();
});
