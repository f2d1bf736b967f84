// The commands of a worker, with the worker's token, against a running API.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOrg, type Org, startApi, type TestApi } from '../support/api.ts';
import { jsonOf, runCommand } from '../support/cli.ts';
import { createTaskIn } from '../support/workers.ts';

let api: TestApi;
let org: Org;

beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
});
afterAll(() => api.close());

/** A started task, and its worker's and its requester's command line. */
async function stage() {
  const { task, person } = await createTaskIn(api, org, 'started');
  const settings = (credential: string | null) => ({
    env: { BIOLAYER_URL: api.url, BIOLAYER_API_KEY: credential ?? '' },
  });
  const worker = settings(person.client.credential);
  return {
    id: task.task_id,
    run: (...args: string[]) => runCommand(['worker', ...args], worker),
    json: (...args: string[]) => jsonOf<Record<string, unknown>>(['worker', ...args], worker),
    requester: (...args: string[]) => runCommand(args, settings(org.client.credential)),
  };
}

describe('biolayer worker', () => {
  it('asks the requester a question and answers one', async () => {
    const { id, run, json, requester } = await stage();
    expect(await json('send', id, 'Which user?', '--question')).toMatchObject({ number: 1, question: true });
    expect((await requester('messages', 'answer', id, 'The last one.')).code).toBe(0);
    await requester('messages', 'send', id, 'Is it done?', '--question');
    const { open_question } = await org.client.get<{ open_question: { message_id: string } }>(
      `/v1/tasks/${id}`,
    );
    expect(await json('send', id, 'Almost.', '--answers', open_question.message_id)).toMatchObject({
      number: 4,
    });
    const listed = await run('messages', id);
    expect(listed.stdout).toMatch(/question[\s\S]*Which user\?[\s\S]*The last one\.[\s\S]*Almost\./);
  });

  it('saves a draft and shows it', async () => {
    const { id, run, json } = await stage();
    expect(await json('draft', id)).toEqual({ version: 0, saved_at: null });
    const draft = await json('draft', id, '--output', '{"seen":true}', '--notes', 'half done');
    expect(draft).toMatchObject({ version: 1, output: { seen: true }, notes: 'half done' });
    expect((await run('draft', id)).stdout).toMatch(/notes +half done/);
    expect(await run('draft', id, '--output', '{')).toMatchObject({ code: 2 });
  });

  it('reports a task, whose report the lead sees and decides on', async () => {
    const { id, run, requester } = await stage();
    expect(await run('report', id)).toMatchObject({ code: 2 });
    expect(await run('report', id, '--reason', 'unsafe', '--text', 'Malware.')).toMatchObject({ code: 0 });
    expect((await requester('tasks', 'list', '--in-review')).stdout).toContain(id);
    expect((await requester('tasks', 'get', id)).stdout).toMatch(/report\.reason +unsafe/);
    const decide = ['reviews', 'next', '--task', id, '--reject', '--feedback', 'Withdrawn.'];
    expect((await requester(...decide)).stdout).toMatch(/status +failed/);
  });
});
