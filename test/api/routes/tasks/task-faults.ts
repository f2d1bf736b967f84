// The ways in which the body of `POST /v1/tasks` can break section 2 of the contract, as data: the value, where it is put,
// and the pointer of the expected error. Written from the contract, independently of our schemas.

/** Marks a field to be removed. */
export const MISSING = Symbol('missing');

/** A valid body with every field. */
export function fullBody(poolId: string): Record<string, unknown> {
  return {
    origin: {
      product: 'threatlabs',
      request_id: 'IR-48219',
      created_by: 'system',
      created_at: '2026-02-04T19:21:00Z',
    },
    task_type: 'verification',
    domain: 'security',
    title: 'Verify endpoint owner activity',
    instructions: 'Call the endpoint owner.',
    context: {
      background: 'b',
      constraints: ['c'],
      risk_notes: ['r'],
      data: { any: [1, null, { x: true }] },
    },
    sla: { urgency: 'high', deadline: '2099-01-01T00:00:00Z', target_latency_seconds: 600 },
    requirements: {
      skills: ['s'],
      certifications: ['c'],
      trust_level: 4,
      min_rating: 4.8,
      worker_pool_id: poolId,
      max_attempts: 3,
    },
    output: {
      expected_format: 'structured_json',
      schema: { reached_user: 'boolean' },
      evidence_required: true,
      evidence_types: ['image/*', 'application/pdf'],
      review: { mode: 'manual', auto_approve_after_seconds: 60 },
    },
    handoff: {
      callback_url: 'https://example.com/hook',
      callback_auth: { type: 'bearer', token: 'secret' },
      retry_policy: { max_retries: 6, backoff_seconds: 30 },
      ordering: 'per_task',
      events: ['task.completed'],
    },
    audit: { log_required: true, retain_days: 365 },
    metadata: { k: 'v' },
  };
}

/** A copy of `body` with `value` at `pointer` (JSON Pointer). */
export function broken(body: unknown, pointer: string, value: unknown): unknown {
  const [, ...steps] = pointer.split('/').map((one) => one.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = steps.pop();
  if (last === undefined) return value;
  const copy = structuredClone(body);
  let at = copy as Record<string, unknown>;
  for (const step of steps) at = at[step] as Record<string, unknown>;
  if (value === MISSING) delete at[last];
  else Object.defineProperty(at, last, { value, enumerable: true, configurable: true, writable: true });
  return copy;
}

export interface Fault {
  at: string;
  value: unknown;
  /** Pointer of the expected error, when it differs from `pointer`. */
  said?: string;
}

const OF_TYPE = {
  object: { a: 1 },
  array: ['x'],
  string: 'x',
  number: 7,
  boolean: true,
  null: null,
};
type Type = keyof typeof OF_TYPE;

/** Values of every JSON type but `type`, at a pointer. */
function wrongTypes(type: Type, at: string): Fault[] {
  const types = Object.keys(OF_TYPE) as Type[];
  return types.filter((one) => one !== type).map((one) => ({ at, value: OF_TYPE[one] }));
}

function values(at: string, ...list: unknown[]): Fault[] {
  return list.map((value) => ({ at, value }));
}

const STRINGS = [
  '/origin/org_id',
  '/origin/product',
  '/origin/request_id',
  '/origin/created_by',
  '/origin/created_at',
  '/task_type',
  '/domain',
  '/title',
  '/instructions',
  '/context/background',
  '/context/constraints/0',
  '/context/risk_notes/0',
  '/sla/urgency',
  '/sla/deadline',
  '/requirements/skills/0',
  '/requirements/certifications/0',
  '/requirements/worker_pool_id',
  '/output/expected_format',
  '/output/review/mode',
  '/handoff/callback_url',
  '/handoff/callback_auth/type',
  '/handoff/callback_auth/token',
  '/handoff/events/0',
  '/metadata/k',
];
const OBJECTS = [
  '/origin',
  '/context',
  '/context/data',
  '/sla',
  '/requirements',
  '/output',
  '/output/schema',
  '/output/review',
  '/handoff',
  '/handoff/callback_auth',
  '/handoff/retry_policy',
  '/audit',
  '/metadata',
];
const CLOSED = OBJECTS.filter((at) => !['/context/data', '/output/schema', '/metadata'].includes(at));
const ARRAYS = [
  '/context/constraints',
  '/context/risk_notes',
  '/requirements/skills',
  '/requirements/certifications',
  '/output/evidence_types',
  '/handoff/events',
];
const INTEGERS = [
  '/sla/target_latency_seconds',
  '/output/review/auto_approve_after_seconds',
  '/requirements/max_attempts',
  '/handoff/retry_policy/max_retries',
  '/handoff/retry_policy/backoff_seconds',
  '/audit/retain_days',
];
const NUMBERS = [...INTEGERS, '/requirements/trust_level', '/requirements/min_rating'];
const BOOLEANS = ['/output/evidence_required', '/audit/log_required'];
const REQUIRED = [
  '/origin',
  '/origin/product',
  '/origin/request_id',
  '/task_type',
  '/domain',
  '/title',
  '/instructions',
  '/sla',
  '/sla/urgency',
  '/output',
  '/output/expected_format',
  '/output/schema',
  '/output/review/mode',
  '/handoff/callback_auth/type',
  '/handoff/callback_auth/token',
];

const BAD_SLUGS = ['', 'Upper', '1st', '_x', 'a-b', 'a b', 'a.b', 'é', `a${'b'.repeat(64)}`, 'a\n', ' a'];
const BAD_TIMES = [
  '',
  'tomorrow',
  '2099-01-01',
  '2099-01-01T00:00:00',
  '2099-13-01T00:00:00Z',
  '2099-02-30T00:00:00Z',
  '2099-01-01T25:00:00Z',
  '4070908800000',
];
const BAD_URLS = [
  '',
  'example.com/hook',
  '//example.com/hook',
  'ftp://example.com/',
  'javascript:alert(1)',
  'http://example.com/',
  'https://',
  'https:example.com',
  'https://user@example.com/',
  'https://user:pass@example.com/',
  'https://localhost/',
  'https://localhost./',
  'https://a.localhost/',
  'https://intranet/',
  'https://127.0.0.1/',
  'https://127.1/',
  'https://2130706433/',
  'https://0x7f.1/',
  'https://017700000001/',
  'https://127。0。0。1/',
  'https://0.0.0.0/',
  'https://10.0.0.1/',
  'https://172.16.0.1/',
  'https://192.168.1.1/',
  'https://100.64.0.1/',
  'https://169.254.169.254/latest/meta-data',
  'https://168.63.129.16/',
  'https://224.0.0.1/',
  'https://[::]/',
  'https://[::1]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://[::127.0.0.1]/',
  'https://[64:ff9b::7f00:1]/',
  'https://[2002:7f00:1::]/',
  'https://[fe80::1]/',
  'https://[fc00::1]/',
  `https://example.com/${'a'.repeat(2048)}`,
];

function nested(levels: number): Record<string, unknown> {
  let schema: Record<string, unknown> = { type: 'string' };
  for (let depth = 1; depth < levels; depth += 2) schema = { type: 'object', properties: { a: schema } };
  return schema;
}

/** A JSON Schema whose field `a` is `schema`. */
function ofField(schema: unknown): Record<string, unknown> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: { a: schema },
  };
}

/** Invalid schemas with the pointer of the error below `/output/schema`; null when only `/output/schema` is reported. */
const BAD_SCHEMAS: [unknown, string | null][] = [
  [{ a: 'float' }, '/a'],
  [{ a: 'string??' }, '/a'],
  [{ a: 'String' }, '/a'],
  [{ a: '' }, '/a'],
  [{ a: 5 }, '/a'],
  [{ a: null }, '/a'],
  [{ a: { type: 'string' } }, '/a'],
  [{ ok: 'string', 'a/b~c': 'nope' }, '/a~1b~0c'],
  [ofField({ type: 'strin' }), '/properties/a/type'],
  [ofField({ minLength: -1 }), '/properties/a/minLength'],
  [ofField({ pattern: '(' }), '/properties/a/pattern'],
  [ofField({ $ref: '#/$defs/nowhere' }), '/properties/a/$ref'],
  [ofField({ $ref: 'https://example.com/schema.json' }), '/properties/a/$ref'],
  [ofField({ $ref: 'other.json#/a' }), '/properties/a/$ref'],
  [ofField({ $ref: 'file:///etc/passwd' }), '/properties/a/$ref'],
  [ofField({ pattern: '^(a+)+$' }), '/properties/a/pattern'],
  [ofField({ pattern: '^(a|a)*$' }), '/properties/a/pattern'],
  [ofField({ pattern: '^(.*,){20}x$' }), '/properties/a/pattern'],
  [{ type: 'object', properties: { a: { type: 'strin' } } }, '/properties/a/type'],
  [{ $schema: 'http://json-schema.org/draft-07/schema#', type: 'object' }, '/$schema'],
  [nested(33), null],
  [nested(60), null],
  [nested(300), null],
  [ofField({ description: 'x'.repeat(64 * 1024) }), null],
  [Object.fromEntries(Array.from({ length: 6000 }, (_, index) => [`field_${index}`, 'string'])), null],
];

/** Faults, each put into the full body alone. `said` is the only pointer of the expected answer. */
export const FAULTS: readonly Fault[] = [
  ...REQUIRED.map((at) => ({ at, value: MISSING })),
  ...STRINGS.flatMap((at) => wrongTypes('string', at)),
  ...OBJECTS.flatMap((at) => wrongTypes('object', at)),
  ...ARRAYS.flatMap((at) => wrongTypes('array', at)),
  ...NUMBERS.flatMap((at) => [...wrongTypes('number', at), { at, value: '7' }]),
  ...INTEGERS.flatMap((at) => values(at, 1.5, -1)),
  ...BOOLEANS.flatMap((at) => [...wrongTypes('boolean', at), { at, value: 'true' }]),
  ...['', ...CLOSED].map((at) => ({ at: `${at}/not_a_field`, value: 1 })),
  ...['/task_id', '/status', '/__proto__', '/constructor', '/a~1b~0c'].map((at) => ({ at, value: 'x' })),
  ...values('/task_type', ...BAD_SLUGS),
  ...values('/domain', ...BAD_SLUGS),
  ...values('/title', '', 'x'.repeat(201), '€'.repeat(201)),
  ...values('/instructions', '', 'x'.repeat(20_001)),
  ...values('/origin/created_at', ...BAD_TIMES),
  ...values('/sla/urgency', '', 'urgent', 'HIGH', 'low '),
  ...values('/sla/deadline', ...BAD_TIMES, '2020-01-01T00:00:00Z', '1969-12-31T23:59:59Z'),
  ...values('/sla/target_latency_seconds', 0, 31_536_001, 1e300),
  ...values('/requirements/trust_level', -0.1, -1, 5.1, 6),
  ...values('/requirements/min_rating', -0.1, -1, 5.1, 6),
  ...values('/requirements/max_attempts', 0, 101),
  ...values('/requirements/worker_pool_id', '', 'no-such-pool', 'a b', '../x', 'ä', 'x'.repeat(65)),
  ...values('/output/expected_format', '', 'json', 'TEXT'),
  { at: '/output/expected_format', value: 'text', said: '/output/schema' },
  ...values('/output/review/mode', '', 'none', 'AUTO'),
  { at: '/output/review/mode', value: 'auto', said: '/output/review/auto_approve_after_seconds' },
  ...BAD_SCHEMAS.map(([value, below]) => ({
    at: '/output/schema',
    value,
    said: below === null ? '/output/schema…' : `/output/schema${below}`,
  })),
  ...values('/handoff/callback_url', ...BAD_URLS),
  ...values('/handoff/callback_auth/type', '', 'digest', 'Bearer'),
  { at: '/handoff/callback_auth', value: {}, said: '/handoff/callback_auth/type' },
  { at: '/handoff/callback_auth', value: { type: 'bearer' }, said: '/handoff/callback_auth/token' },
  {
    at: '/handoff/callback_auth',
    value: { type: 'bearer', token: '' },
    said: '/handoff/callback_auth/token',
  },
  ...values('/handoff/callback_auth/token', 'a\nb', 'a\r\nX-Injected: 1', 'caf\u00e9', '\u0000'),
  { at: '/handoff/callback_auth', value: { type: 'none', token: 'x' }, said: '/handoff/callback_auth/token' },
  {
    at: '/handoff/callback_auth',
    value: { type: 'basic', username: 'u' },
    said: '/handoff/callback_auth/password',
  },
  {
    at: '/handoff/callback_auth',
    value: { type: 'basic', username: 5, password: 'p' },
    said: '/handoff/callback_auth/username',
  },
  ...values('/handoff/retry_policy/max_retries', 21),
  ...values('/handoff/retry_policy/backoff_seconds', 0, 3601),
  ...values('/handoff/ordering', 'per_org', 'PER_TASK'),
  ...values('/handoff/events/0', 'task.done', 'completed', '*', 'task.Completed'),
  ...values('/audit/retain_days', 0, 3651),
  { at: '/metadata', value: { 'a/b~c': 5 }, said: '/metadata/a~1b~0c' },
  { at: '/metadata', value: { k: 'v', long: 'x'.repeat(501) }, said: '/metadata/long' },
  {
    at: '/metadata',
    value: Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`k${index}`, 'v'])),
  },
];
