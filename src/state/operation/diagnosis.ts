// What an operator should know of a deployment, from facts that were read a moment ago: what is in order, what is not, and
// what to do about it.

import { type Coverage, describeGaps, type LivingProcess } from './coverage.ts';

export const CHECK_STATUSES = ['ok', 'warning', 'fault'] as const;

/** One thing that was checked. */
export interface Check {
  name: string;
  status: (typeof CHECK_STATUSES)[number];
  /** What was found. */
  detail: string;
  /** What to do; null when it is in order. */
  remedy: string | null;
}

/** A server of Redis. */
interface Server {
  /** Its address. */
  name: string;
  /** Fields of its INFO. */
  info: ReadonlyMap<string, string>;
}

/** What a diagnosis is made from. */
export interface Facts {
  /** Redis, or the masters of a cluster. */
  servers: readonly Server[];
  /** Whether creates are refused for lack of memory. */
  isMemoryHigh: boolean;
  /** Whether Redis stores the records of tasks compactly; null when that is not known. */
  hasCompactHashes: boolean | null;
  /** Replicas that must have a change before it is confirmed; 0 when it is confirmed at once. */
  replicasRequired: number;
  /** Whether Redis' clock has jumped and the jump is not confirmed. */
  isClockHeld: boolean;
  /** Processes that are alive. */
  processes: readonly (LivingProcess & { version: string })[];
  /** Partitions in which new orgs are put, and those that have orgs. */
  partitions: { ofNewOrgs: number; used: number };
  /** How many worker processes take each queue of each shard. */
  coverage: readonly Coverage[];
  /** Outbox entries that the relay has not turned into jobs yet. */
  outbox: number;
  /** Failed jobs by queue. */
  failedJobs: Readonly<Record<string, number>>;
  /** Entries and records that could not be processed. */
  deadEntries: number;
  /** Keys that have sealed secrets; more than one while `SECRETS_KEY` is changed. */
  sealingKeys: number;
  /** Receivers of webhooks that do not keep up, one of them, and the deliveries that wait for all of them. */
  receivers: { backlogged: number; first: string | null; waiting: number };
}

/** Share of `maxmemory` from which to act. */
const MEMORY_WARNING = 0.7;
/** Outbox entries that a relay at work has to wait, at most. */
const OUTBOX_WARNING = 10_000;

/** Checks the facts; the order is that in which to act. */
export function diagnose(facts: Facts): Check[] {
  return [
    ofServers('redis', facts, redisVersion),
    ofServers('eviction', facts, eviction),
    ofServers('persistence', facts, persistence),
    ofServers('memory', facts, (info) => memory(info, facts)),
    encoding(facts),
    ofServers('replicas', facts, (info) => replicas(info, facts)),
    clock(facts),
    workers(facts),
    queues(facts),
    versions(facts),
    secrets(facts),
    partitions(facts),
    outbox(facts),
    receivers(facts),
    failedJobs(facts),
    deadEntries(facts),
  ];
}

type Found = Omit<Check, 'name'>;
const ok = (detail: string): Found => ({ status: 'ok', detail, remedy: null });
const warning = (detail: string, remedy: string): Found => ({ status: 'warning', detail, remedy });
const fault = (detail: string, remedy: string): Found => ({ status: 'fault', detail, remedy });

/** Checks each server; what is found is what to act on first. */
function ofServers(
  name: string,
  { servers }: Facts,
  check: (info: ReadonlyMap<string, string>) => Found,
): Check {
  const found = [...servers]
    .sort((one, other) => memoryShare(other.info) - memoryShare(one.info))
    .map((server) => ({ server, result: check(server.info) }));
  const severity = ({ result }: { result: Found }) => CHECK_STATUSES.indexOf(result.status);
  const [worst] = found.sort((one, other) => severity(other) - severity(one));
  if (worst === undefined) return { name, ...fault('no server answers', 'Start Redis.') };
  const { server, result } = worst;
  return { name, ...result, ...(servers.length > 1 && { detail: `${server.name}: ${result.detail}` }) };
}

function memoryShare(info: ReadonlyMap<string, string>): number {
  return Number(info.get('used_memory')) / (Number(info.get('maxmemory')) || Number.POSITIVE_INFINITY);
}

function redisVersion(redis: ReadonlyMap<string, string>): Found {
  const version = redis.get('valkey_version') ?? redis.get('redis_version') ?? 'unknown';
  const isOld = Number.parseInt(redis.get('redis_version') ?? '', 10) < 7;
  const detail = `version ${version}`;
  return isOld ? fault(detail, 'Upgrade Redis to 7 or newer.') : ok(detail);
}

function eviction(redis: ReadonlyMap<string, string>): Found {
  const policy = redis.get('maxmemory_policy') ?? 'unknown';
  return policy === 'noeviction'
    ? ok('nothing is evicted')
    : fault(
        `maxmemory-policy is ${policy}: tasks are dropped when memory is full`,
        'Set maxmemory-policy noeviction.',
      );
}

function persistence(redis: ReadonlyMap<string, string>): Found {
  if (redis.get('aof_enabled') === '0')
    return fault(
      'there is no append-only file: a stop of Redis loses tasks',
      'Set appendonly yes and appendfsync everysec.',
    );
  const failed = ['aof_last_write_status', 'aof_last_bgrewrite_status'].filter(
    (field) => redis.get(field) === 'err',
  );
  return failed.length === 0
    ? ok('writes reach the append-only file')
    : fault(
        `Redis cannot write to its disk (${failed.join(', ')})`,
        "Free space on the disk and see Redis' log.",
      );
}

function memory(redis: ReadonlyMap<string, string>, { isMemoryHigh }: Facts): Found {
  const [used, limit] = [Number(redis.get('used_memory')), Number(redis.get('maxmemory'))];
  if (limit === 0)
    return warning(
      `${megabytes(used)} used, and no maxmemory`,
      'Set maxmemory, so that creates are refused before the machine runs out of memory.',
    );
  const detail = `${megabytes(used)} of ${megabytes(limit)} used`;
  const remedy = 'Raise maxmemory, or shorten the retention of the largest orgs.';
  if (isMemoryHigh) return fault(`${detail}: creates are refused`, remedy);
  return used < limit * MEMORY_WARNING ? ok(detail) : warning(detail, remedy);
}

function encoding({ hasCompactHashes }: Facts): Check {
  const name = 'encoding';
  if (hasCompactHashes === null) return { name, ...ok('how hashes are stored is not known') };
  return hasCompactHashes
    ? { name, ...ok('finished tasks are stored compactly') }
    : {
        name,
        ...warning(
          'finished tasks take a quarter of a kilobyte more than they need',
          'Set hash-max-listpack-value 4096 in the configuration of Redis, and restart it.',
        ),
      };
}

function replicas(redis: ReadonlyMap<string, string>, { replicasRequired }: Facts): Found {
  const online = onlineReplicas(redis);
  const known = Number(redis.get('connected_slaves') ?? 0);
  const count = (number: number) => (number === 1 ? '1 replica follows' : `${number} replicas follow`);
  if (online < replicasRequired)
    return fault(
      `${count(online)}, and ${replicasRequired} must confirm: changes are answered with 503`,
      'Start the missing replicas, or set DURABILITY_REPLICAS to their number.',
    );
  if (online < known)
    return warning(`${count(online)} of ${known}`, 'See the log of the replica that is not in sync.');
  return ok(replicasRequired === 0 ? count(online) : `${count(online)}, ${replicasRequired} must confirm`);
}

/** How many replicas follow a server. @param info of its section on replication */
export function onlineReplicas(info: ReadonlyMap<string, string>): number {
  return [...info].filter(([name, text]) => /^slave\d+$/.test(name) && text.includes('state=online')).length;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MiB`;
}

function clock({ isClockHeld }: Facts): Check {
  const found = isClockHeld
    ? fault(
        "Redis' clock has jumped: nothing ends by time",
        'Run `biolayer clock show`, then `biolayer clock confirm`.',
      )
    : ok("Redis' clock is steady");
  return { name: 'clock', ...found };
}

function workers({ processes }: Facts): Check {
  const count = (kind: string) => processes.filter((one) => one.kind === kind).length;
  const detail = `${count('web')} web and ${count('worker')} worker processes`;
  const name = 'processes';
  if (count('worker') === 0)
    return { name, ...fault(`${detail}: nothing is offered or delivered`, 'Start a worker process.') };
  return {
    name,
    ...(count('worker') > 1
      ? ok(detail)
      : warning(detail, 'Run two worker processes, so that one may fail.')),
  };
}

function queues({ coverage, processes }: Facts): Check {
  const gaps = describeGaps(coverage);
  // Where there is no worker process at all, that is the fault.
  const found =
    gaps === null || !processes.some((one) => one.kind === 'worker')
      ? ok('every queue of every shard has a worker process, if there is one')
      : fault(
          `no worker process takes ${gaps}`,
          'Start a worker process that takes them (QUEUES, WORKER_SHARDS).',
        );
  return { name: 'queues', ...found };
}

function versions({ processes }: Facts): Check {
  const all = [...new Set(processes.map((one) => one.version))].toSorted();
  const detail = `version ${all.join(' and ')}`;
  const found =
    all.length < 2
      ? ok(detail)
      : warning(detail, 'Finish the deployment: entries of the newer version wait for it.');
  return { name: 'versions', ...found };
}

/** Not a fault: a process of an earlier release, which knows fewer partitions, shows in the versions. */
function partitions({ partitions: { ofNewOrgs, used } }: Facts): Check {
  return { name: 'partitions', ...ok(`new orgs are spread over ${ofNewOrgs} partitions, ${used} have orgs`) };
}

function secrets({ sealingKeys }: Facts): Check {
  const found =
    sealingKeys < 2
      ? ok('every process can open what is sealed')
      : warning(
          `secrets are sealed with ${sealingKeys} keys`,
          'Finish the change of SECRETS_KEY with `biolayer secrets reseal`; until then every process needs both keys.',
        );
  return { name: 'secrets', ...found };
}

function receivers({ receivers: { backlogged, first, waiting } }: Facts): Check {
  const found =
    backlogged === 0
      ? ok('no receiver of webhooks keeps deliveries waiting')
      : warning(
          `${waiting} deliveries wait for ${backlogged} slow or dead receivers, such as ${first}`,
          'Tell their orgs; if all are slow, see whether the worker processes may reach the network.',
        );
  return { name: 'receivers', ...found };
}

function outbox({ outbox }: Facts): Check {
  const detail = `${outbox} entries wait for the relay`;
  const found =
    outbox < OUTBOX_WARNING
      ? ok(detail)
      : warning(detail, 'Start more worker processes, and see their logs.');
  return { name: 'outbox', ...found };
}

function failedJobs({ failedJobs }: Facts): Check {
  const queues = Object.entries(failedJobs).filter(([, count]) => count > 0);
  const found =
    queues.length === 0
      ? ok('no job has failed')
      : warning(
          `failed: ${queues.map(([queue, count]) => `${count} in ${queue}`).join(', ')}`,
          'See the reasons at /admin/queues; the jobs are run again after ten minutes.',
        );
  return { name: 'failed_jobs', ...found };
}

function deadEntries({ deadEntries }: Facts): Check {
  const found =
    deadEntries === 0
      ? ok('every entry could be processed')
      : warning(`${deadEntries} entries could not be processed`, 'Run `biolayer dead-entries list`.');
  return { name: 'dead_entries', ...found };
}
