// Asks a person and prints the answer.
//
//   BIOLAYER_API_KEY=blk_… node --import tsx examples/ask-a-person.ts

import { BioLayer } from '@biolayer/sdk';

const client = new BioLayer();
const { result } = await client.tasks.createAndWait({
  origin: { product: 'examples', request_id: 'ask-a-person' },
  task_type: 'question',
  domain: 'general',
  title: 'Is the shop open?',
  instructions: 'Call the shop and ask whether it is open today.',
  sla: { urgency: 'normal' },
  output: {
    expected_format: 'structured_json',
    schema: { type: 'object', properties: { open: { type: 'boolean' } }, required: ['open'] },
  },
});
console.log(result.output.open ? 'It is open.' : 'It is closed.');
