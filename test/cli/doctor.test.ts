// `biolayer doctor` against a running API.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { OPERATOR_TOKEN, startApi, type TestApi } from '../support/api.ts';
import { runCommand } from '../support/cli.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());
const doctor = (...args: string[]) =>
  runCommand(['doctor', ...args], { env: { BIOLAYER_URL: api.url, OPERATOR_TOKEN } });

it('says what is at fault and what to do, and exits 4', async () => {
  // No worker process runs here.
  const { code, stdout, stderr } = await doctor();
  expect(code).toBe(4);
  expect(stdout).toMatch(/^ok +redis +(?:\S+: )?version \d/m);
  expect(stdout).toMatch(
    /^fault +processes +\d+ web and 0 worker processes: .*\n +Start a worker process\.$/m,
  );
  expect(stderr).toBe('At fault: processes.\n');
  const { healthy, checks } = JSON.parse((await doctor('--json')).stdout);
  expect(healthy).toBe(false);
  expect(checks).toContainEqual(expect.objectContaining({ name: 'processes', status: 'fault' }));
});

it('warns of receivers that do not keep up, and of a second key that has sealed secrets', async () => {
  const { backlogged } = orgKeysOf(api.prefix, 'an-org');
  await api.redis.sadd(backlogged, 'an-org hooks.example');
  const keys = `${api.prefix}:sealing-keys`;
  await api.redis.hset(keys, { one: 'probe', other: 'probe' });
  const { stdout } = await doctor();
  expect(stdout).toMatch(
    /^warning +receivers +0 deliveries wait for 1 slow or dead receivers, such as hooks\.example of org an-org$/m,
  );
  expect(stdout).toMatch(/^warning +secrets +secrets are sealed with [23] keys$/m);
  await api.redis.srem(backlogged, 'an-org hooks.example');
  await api.redis.hdel(keys, 'one', 'other');
  expect((await doctor()).stdout).toMatch(/^ok +receivers +\S/m);
});

it('exits 0 where nothing is at fault', async () => {
  const processors = await startApi({ prefix: api.prefix, processors: true });
  const { code, stdout } = await doctor();
  expect(stdout).not.toMatch(/^fault/m);
  expect(code).toBe(0);
  await processors.close();
});
