// The demo: runs BioLayer in this process, on its own Redis unless it is given another one, and uses it as a client would. One task is completed by a
// worker; a second one breaches its SLA. The demo fails unless every event of both arrives as a webhook whose signature
// the public `standardwebhooks` package verifies. All its files are in one folder, which it deletes at the end.
// It runs in the project's folder.

import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BioLayer, type CreateTaskBody, type WebhookEvent } from '@biolayer/sdk';
import { pino } from 'pino';
import { Webhook } from 'standardwebhooks';
import { type Receiver, startReceiver } from '../examples/receiver.ts';
import { doWork, nextOffer } from '../examples/worker.ts';
import { describe, historyAfter } from '../src/cli/history.ts';
import { startProcessors } from '../src/processors/processors.ts';
import { type DemoOrg, makeDemoOrg } from '../src/runtime/demo-org.ts';
import { startEmbeddedRedis } from '../src/runtime/embedded-redis.ts';
import { startWeb } from '../src/runtime/start-web.ts';
import type { HistoryEntry } from '../src/state/tasks/event.ts';
import { firstBroken } from '../src/state/tasks/history.ts';
import { createSealer } from '../src/store/redis/sealing.ts';
import { describeTopology, readTopology } from '../src/store/redis/topology.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
/** A webhook that has not arrived after this counts as lost, ms. */
const ARRIVAL_LIMIT = 15 * SECOND;
/** Time limit of the whole demo, ms; enough for a busy machine. */
const LIMIT = 2 * MINUTE;

const USAGE = `Usage: script/demo [--wrong-secret] [--redis <url>]

Runs one task from creation to completion, then one that breaches its SLA, and shows
each event with its verified webhook. Exits with 0 when every webhook was verified.

  --wrong-secret  verify with a wrong secret, to see the demo fail
  --redis <url>   use this Redis, cluster or sentinels (as REDIS_URL), with a key prefix
                  of its own; its keys stay there
`;

/** A failure whose message is enough; the stack is not printed. */
class DemoFailed extends Error {}

/** Clean-up of each step of the start, in the order of the steps. */
const cleanups: (() => Promise<unknown>)[] = [];
let cleanedUp: Promise<void> | null = null;

function cleanUp(): Promise<void> {
  cleanedUp ??= (async () => {
    for (const step of cleanups.reverse()) await step();
  })();
  return cleanedUp;
}

/** Results of the receiver: verified events by id, and the reasons of refusals. */
class Inbox {
  readonly verified = new Map<string, { type: string; at: number }>();
  readonly refused: string[] = [];
  #notify = () => {};

  take(event: WebhookEvent): void {
    this.verified.set(event.data.event_id, { type: event.type, at: Date.now() });
    this.#notify();
  }

  refuse(reason: string): void {
    this.refused.push(reason);
    this.#notify();
  }

  /** Waits until `done` returns true. @throws DemoFailed with `missing()` when a webhook is refused or the time is up. */
  async until(done: () => boolean, missing: () => string): Promise<void> {
    const end = Date.now() + ARRIVAL_LIMIT;
    while (!done()) {
      if (this.refused.length > 0)
        throw new DemoFailed(`The receiver refused a webhook: ${this.refused[0]}\n${missing()}`);
      const left = end - Date.now();
      if (left <= 0) throw new DemoFailed(`${missing()} after ${ARRIVAL_LIMIT / SECOND} s`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#notify = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

async function main(wrongSecret: boolean, redisUrl: string | undefined): Promise<void> {
  const startedAt = Date.now();
  const home = resolve('.data');
  await mkdir(home, { recursive: true, mode: 0o700 });
  const dir = await mkdtemp(join(home, 'demo-'));
  cleanups.push(() => rm(dir, { recursive: true, force: true }));
  const { url, org } = await startAll(dir, redisUrl);
  const api = new BioLayer({ apiKey: org.api_key, baseUrl: url });

  const bearer = randomBytes(12).toString('hex');
  const { secret } = await api.webhookSecret.get();
  const inbox = new Inbox();
  const receiver = await startReceiver({
    secret: wrongSecret ? `whsec_${randomBytes(32).toString('base64')}` : secret,
    bearer,
    port: 0,
    onEvent: (event, { headers, body }) => {
      if (isVerified(secret, headers, `${body} `)) inbox.refuse('a changed body was verified');
      else inbox.take(event);
    },
    onRefused: (reason) => inbox.refuse(reason),
  });
  cleanups.push(() => receiver.close());

  say(`API       ${url}/v1`);
  say(
    redisUrl === undefined
      ? `Redis     embedded, in ${relative(process.cwd(), dir)}`
      : `Redis     ${describeTopology(readTopology(redisUrl))}`,
  );
  say(`Receiver  ${receiver.url}`);

  say('\n1. A task is created, offered to a worker, completed and delivered.\n');
  const example = JSON.parse(await readFile('examples/task.json', 'utf8')) as ExampleTask;
  const events = await runToCompletion(api, url, org, inbox, taskBody(example, org, receiver, bearer));

  say('\n2. A task that no worker accepts within its target latency; it is cancelled.\n');
  const late = taskBody(example, org, receiver, bearer, 1);
  events.push(...(await runIntoBreach(api, inbox, late)));

  if (inbox.verified.size !== events.length)
    throw new DemoFailed(`${events.length} events, but ${inbox.verified.size} webhooks.`);
  say(`\n${events.length} events, ${inbox.verified.size} webhooks verified, both histories verified.`);
  say(`Took ${((Date.now() - startedAt) / SECOND).toFixed(1)} s. Next: script/server, and README.md.`);
}

/** Starts Redis unless there is one, API and processors, and creates an org with a worker. */
async function startAll(dir: string, redisUrl: string | undefined): Promise<{ url: string; org: DemoOrg }> {
  const startOwn = async () => {
    const redis = await startEmbeddedRedis({ dir });
    cleanups.push(() => redis.stop());
    return redis.url;
  };
  const prefix = redisUrl === undefined ? 'bl' : `demo-${randomBytes(4).toString('hex')}`;
  const sealer = createSealer([randomBytes(32)]);
  const common = {
    redis: readTopology(redisUrl ?? (await startOwn())),
    prefix,
    sealer,
    webhookAllowedNetworks: ['127.0.0.0/8'],
    evidenceStore: join(dir, 'evidence'),
    log: pino({ level: 'warn' }, pino.destination(2)),
  };
  const web = await startWeb({ ...common, host: '127.0.0.1', port: 0, operatorToken: undefined });
  cleanups.push(() => web.close());
  const processors = await startProcessors({ ...common, concurrency: 10 });
  cleanups.push(() => processors.close());
  return { url: web.url, org: await makeDemoOrg(web.db, sealer) };
}

type ExampleTask = CreateTaskBody & Required<Pick<CreateTaskBody, 'sla' | 'requirements' | 'handoff'>>;

/** The body of the example task with the ids of this org, current times and the demo's receiver. */
function taskBody(
  example: ExampleTask,
  org: DemoOrg,
  receiver: Receiver,
  bearer: string,
  latency = 600,
): CreateTaskBody {
  const task = structuredClone(example);
  const now = Date.now();
  Object.assign(task.origin, { org_id: org.org_id, created_at: new Date(now).toISOString() });
  Object.assign(task.requirements, { worker_pool_id: org.pool_id });
  Object.assign(task.sla, {
    deadline: new Date(now + 15 * MINUTE).toISOString(),
    target_latency_seconds: latency,
  });
  Object.assign(task.handoff, {
    callback_url: receiver.url,
    callback_auth: { type: 'bearer', token: bearer },
  });
  return task;
}

async function runToCompletion(
  api: BioLayer,
  url: string,
  org: DemoOrg,
  inbox: Inbox,
  body: CreateTaskBody,
): Promise<HistoryEntry[]> {
  const { task_id: taskId } = await api.tasks.create(body);
  const worker = new BioLayer({ apiKey: org.worker_token, baseUrl: url });
  const offer = await nextOffer(worker);
  if (offer?.task_id !== taskId) throw new DemoFailed('The worker was not offered the task.');
  const note = 'Called the owner at the number on file. Admits the session: a patch job.\n';
  const [evidenceId = ''] = await doWork(worker, offer, {
    output: { reached_user: true, user_confirmed: true, notes: 'Patch job, ticket follows.' },
    notes: 'Reached at the second call.',
    evidence: new File([note], 'call-note.txt', { type: 'text/plain' }),
  });
  const task = await api.tasks.waitFor(taskId, { timeoutMs: ARRIVAL_LIMIT });
  const [evidence] = (await api.tasks.listEvidence(taskId)).data;
  if (task.status !== 'completed' || evidence?.evidence_id !== evidenceId)
    throw new DemoFailed(`The task is ${task.status}, with evidence ${JSON.stringify(evidence)}.`);
  const events = await showTimeline(api, taskId, inbox);
  const file = await api.tasks.downloadEvidence(taskId, evidenceId);
  if ((await file.text()) !== note)
    throw new DemoFailed('The downloaded evidence differs from the uploaded file.');
  say(`\n   Evidence: ${evidence.name}, downloaded unchanged.`);
  return events;
}

async function runIntoBreach(api: BioLayer, inbox: Inbox, body: CreateTaskBody): Promise<HistoryEntry[]> {
  const { task_id: taskId } = await api.tasks.create(body);
  const breached = () => [...inbox.verified.values()].some((one) => one.type === 'task.sla_breached');
  await inbox.until(breached, () => 'No webhook of the breach arrived');
  await api.tasks.cancel(taskId, { reason: 'too late to be of use' });
  return showTimeline(api, taskId, inbox);
}

/** Waits for the webhook of every event in the task's history, and prints both. */
async function showTimeline(api: BioLayer, taskId: string, inbox: Inbox): Promise<HistoryEntry[]> {
  const events = await historyAfter(api, taskId, 0);
  const missing = () => events.filter((one) => !inbox.verified.has(one.event_id));
  await inbox.until(
    () => missing().length === 0,
    () =>
      `No verified webhook for ${missing()
        .map((one) => `${one.sequence} ${one.type}`)
        .join(', ')}`,
  );
  const broken = firstBroken(events);
  if (broken !== null) throw new DemoFailed(`The history of ${taskId} is not valid from entry ${broken} on.`);

  say(`   #     after  ${'event'.padEnd(17)}  ${'about'.padEnd(26)}  webhook`);
  const start = Date.parse(events[0]?.at ?? '');
  for (const event of events) {
    const at = Date.parse(event.at);
    const delay = (inbox.verified.get(event.event_id)?.at ?? Number.NaN) - at;
    const about = describe(event);
    const cells = [
      String(event.sequence).padStart(4),
      `${((at - start) / SECOND).toFixed(3)} s`.padStart(8),
      event.type.padEnd(17),
      (about.length > 26 ? `${about.slice(0, 25)}…` : about).padEnd(26),
      `verified +${delay} ms`,
    ];
    say(cells.join('  '));
  }
  return events;
}

function isVerified(secret: string, headers: Record<string, string>, body: string): boolean {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The flags; prints the usage and exits on --help and on unknown ones. */
function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        'wrong-secret': { type: 'boolean', default: false },
        redis: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.redis !== undefined) readTopology(values.redis);
    if (!values.help) return values;
  } catch (error) {
    process.stderr.write(`${USAGE}\n${(error as Error).message}\n`);
    process.exit(2);
  }
  process.stdout.write(USAGE);
  process.exit(0);
}

let exitCode: number | null = null;

/** Cleans up and exits; the first call decides the exit code. */
async function end(code: number): Promise<void> {
  if (exitCode !== null) return;
  exitCode = code;
  try {
    await cleanUp();
  } catch (error) {
    process.stderr.write(`Could not clean up: ${error}\n`);
    exitCode = 1;
  }
  process.exit(exitCode);
}

/** Like `end`; a second signal exits at once. */
function endBySignal(code: number): void {
  if (exitCode !== null) process.exit(code);
  void end(code);
}

const { redis, 'wrong-secret': wrongSecret } = readArguments();
process.on('SIGINT', () => endBySignal(130));
process.on('SIGTERM', () => endBySignal(143));
setTimeout(() => {
  process.stderr.write(`The demo did not finish within ${LIMIT / SECOND} s.\n`);
  void end(1);
}, LIMIT).unref();
try {
  await main(wrongSecret, redis);
} catch (error) {
  const text = error instanceof DemoFailed ? error.message : error instanceof Error ? error.stack : error;
  // Errors during the clean-up after a signal are expected.
  if (exitCode === null) process.stderr.write(`\nThe demo failed. ${text}\n`);
  await end(1);
}
await end(0);
