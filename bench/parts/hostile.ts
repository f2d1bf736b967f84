// The effect of hostile schemas and outputs on other orgs: the p99 of another org's creates at a steady rate, alone and
// while some connections send only schemas and outputs that take very long to check.

import { inRounds, type Measured, row, type Size } from '../rounds.ts';
import {
  type BenchEnvironment,
  type Client,
  createOrg,
  exampleTaskBody,
  type Org,
  startApi,
} from '../stage.ts';
import { steadyP99 } from '../steady.ts';

/** Connections of the attacker that send schemas, and the same number that submit outputs. */
const CONNECTIONS = 4;
const DIALECT = 'https://json-schema.org/draft/2020-12/schema';
/** With the output below, a backtracking engine would take practically forever. */
const SLOW = {
  $schema: DIALECT,
  type: 'object',
  properties: { a: { type: 'string', pattern: '(x.*){2}y' } },
};
const OUTPUT = { a: 'x'.repeat(200_000) };

export async function measureAttack(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, url, api } = await startApi(stage);
  const worker = await stage.start('src/worker.js');
  const victim = await createOrg(api, 0, 1);
  const attacker = await createOrg(api, CONNECTIONS, 1);
  const tasks = await Promise.all(attacker.workers.map((token) => startedTask(api, attacker, token)));
  let isAttack = false;
  let made = 0;
  const send = async (path: string, credential: string, body: () => unknown) => {
    while (isAttack) await statusOf(`${url}${path}`, credential, body());
  };
  const nextSchema = () => {
    made += 1;
    return withSchema(hostileSchema(made));
  };
  const seconds = Math.max(1, 2 * scale);
  const measured = await inRounds(
    rounds,
    {
      without: () => steadyP99(url, victim, seconds),
      during: async () => {
        isAttack = true;
        const attack = tasks.flatMap(({ token, task_id }) => [
          send(`/v1/worker/tasks/${task_id}/submit`, token, () => ({ output: OUTPUT })),
          send('/v1/tasks', attacker.api_key, nextSchema),
        ]);
        const p99 = await steadyP99(url, victim, seconds);
        isAttack = false;
        await Promise.all(attack);
        return p99;
      },
    },
    true,
  );
  await Promise.all([worker.stop(), web.stop(), api.close()]);
  const base = { what: 'no attack', values: measured.without };
  return {
    rows: [row(['create p99 under hostile schemas and outputs', 'ms', 'lower'], measured.during, base)],
  };
}

/** One of three kinds of hostile schemas, each different so that it is not cached. */
function hostileSchema(index: number): unknown {
  const $schema = DIALECT;
  switch (index % 3) {
    case 0:
      return {
        $schema,
        type: 'object',
        properties: { a: { pattern: `^(([a-z])+.)+[A-Z]([a-z])+${index}$` } },
      };
    case 1:
      // Each definition uses the one before it twice.
      return {
        $schema,
        title: `${index}`,
        $ref: '#/$defs/d39',
        $defs: Object.fromEntries(
          Array.from({ length: 40 }, (_, level) => {
            const next = { $ref: `#/$defs/d${level - 1}` };
            return [`d${level}`, level === 0 ? true : { allOf: [next, next] }];
          }),
        ),
      };
    default:
      // As large as a schema may be, and new, so that it must be compiled.
      return {
        $schema,
        title: `${index}`,
        type: 'object',
        properties: Object.fromEntries(
          Array.from({ length: 600 }, (_, one) => [
            `p${one}`,
            { type: 'string', pattern: `^[a-z]{1,40}${one}$` },
          ]),
        ),
      };
  }
}

function withSchema(schema: unknown): unknown {
  const body = exampleTaskBody(null);
  return { ...body, output: { ...body.output, schema } };
}

/** Creates a task of the attacker that one of their workers has started. */
async function startedTask(
  api: Client,
  org: Org,
  token: string,
): Promise<{ token: string; task_id: string }> {
  await api.call('POST', '/v1/tasks', org.api_key, withSchema(SLOW));
  const { data } = await api.call<{ data: { offer_id: string; task_id: string }[] }>(
    'GET',
    '/v1/worker/offers?wait=20',
    token,
  );
  const [offer] = data;
  if (offer === undefined) throw new Error('no offer came');
  await api.call('POST', `/v1/worker/offers/${offer.offer_id}/accept`, token, {});
  await api.call('POST', `/v1/worker/tasks/${offer.task_id}/start`, token, {});
  return { token, task_id: offer.task_id };
}

async function statusOf(url: string, credential: string, body: unknown): Promise<number> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  await answer.arrayBuffer();
  return answer.status;
}
