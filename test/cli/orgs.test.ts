// The commands of the operator for orgs, against a running API.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshName, OPERATOR_TOKEN, startApi, type TestApi } from '../support/api.ts';
import { jsonOf, runCommand } from '../support/cli.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const settings = () => ({ env: { BIOLAYER_URL: api.url, OPERATOR_TOKEN } });
const json = <T = Record<string, unknown>>(...args: string[]) => jsonOf<T>(args, settings());
const run = (...args: string[]) => runCommand(args, settings());

describe.each([[['admin', 'orgs']], [['orgs']]])('biolayer %j', (noun) => {
  it('creates and lists orgs, makes keys for them, suspends and resumes them', async () => {
    const name = freshName('Acme');
    const { org_id } = await json<{ org_id: string }>(...noun, 'create', '--name', name);
    const { key } = await json<{ key: string }>(...noun, 'api-key', org_id, '--name', 'second');
    const client = api.client(key);
    expect((await client.request('GET', '/v1/org')).status).toBe(200);
    const scoped = await json(...noun, 'api-key', org_id, '--name', 'x', '--scope', 'org:read', '--test');
    expect(scoped).toMatchObject({ scopes: ['org:read'], mode: 'test' });

    const suspended = await json(...noun, 'suspend', org_id, '--reason', 'unpaid');
    expect(suspended).toMatchObject({ status: 'suspended', suspension: { reason: 'unpaid' } });
    expect((await client.request('GET', '/v1/org')).outcome).toBe('403 org_suspended');
    const { stdout } = await run(...noun, 'list', '--limit', '1');
    const [head = '', row = '', ...rest] = stdout.trimEnd().split('\n');
    expect(head.split(/ +/)).toEqual(
      'org_id status open_tasks workers keys evidence_bytes created_at name'.split(' '),
    );
    expect(row.split(/ +/)).toEqual([org_id, 'suspended', '0', '0', '3', '0', expect.any(String), name]);
    expect(rest).toEqual([]);

    expect(await json(...noun, 'resume', org_id)).toMatchObject({ status: 'active', suspension: null });
    expect((await client.request('GET', '/v1/org')).status).toBe(200);
    expect((await run(...noun, 'suspend', 'no-id')).code).toBe(1);
  });
});
