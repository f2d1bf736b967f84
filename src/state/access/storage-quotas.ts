// Storage quotas of an org: a limit for each kind of record or file that stays until it is removed. Pure; usage is
// counted by `store/identity/usage.ts`.

/** For each kind: its label in messages, its default limit, and the highest limit that may be set. */
const QUOTA_TABLE = {
  open_tasks: { label: 'open tasks', default: 250_000, most: 1e9 },
  task_bytes: { label: 'bytes of tasks in Redis', default: 64 * 1024 ** 3, most: 1e15 },
  workers: { label: 'workers', default: 50_000, most: 1e9 },
  pools: { label: 'pools', default: 5000, most: 1e9 },
  // The work for each event grows with the number of endpoints.
  endpoints: { label: 'webhook endpoints', default: 100, most: 100 },
  keys: { label: 'API keys', default: 2000, most: 1e9 },
  members: { label: 'members', default: 10_000, most: 1e9 },
  clients: { label: 'OAuth clients', default: 1000, most: 1e9 },
  issuers: { label: 'outside issuers', default: 100, most: 1e9 },
  task_types: { label: 'task types, with retired ones', default: 500, most: 1e9 },
  task_type_bytes: { label: 'bytes of versions of task types', default: 64 * 1024 ** 2, most: 1e15 },
  evidence_bytes: { label: 'bytes of evidence', default: 100 * 1024 ** 3, most: 1e15 },
  idempotent_answer_bytes: {
    label: 'bytes of answers kept for Idempotency-Keys',
    default: 1024 ** 3,
    most: 1e15,
  },
} as const satisfies Record<string, { label: string; default: number; most: number }>;

export type QuotaName = keyof typeof QUOTA_TABLE;
/** The limit of each kind. */
export type StorageQuotas = Readonly<Record<QuotaName, number>>;
/** Usage and limit of each kind. */
export type StorageUsage = Record<QuotaName, { used: number; limit: number }>;

export const QUOTA_NAMES = Object.keys(QUOTA_TABLE) as QuotaName[];

/** A record with a value for each kind. */
export function forEachQuota<T>(value: (name: QuotaName) => T): Record<QuotaName, T> {
  return Object.fromEntries(QUOTA_NAMES.map((name) => [name, value(name)])) as Record<QuotaName, T>;
}

/** The default limits. */
export const DEFAULT_STORAGE_QUOTAS: StorageQuotas = forEachQuota((name) => QUOTA_TABLE[name].default);

/** The highest limit that may be set. */
export function highestQuota(name: QuotaName): number {
  return QUOTA_TABLE[name].most;
}

/** The label of a kind in messages. */
export function quotaLabel(name: QuotaName): string {
  return QUOTA_TABLE[name].label;
}

/** The limits in force for an org: its own where set, else the defaults. */
export function storageQuotasOf(
  own: Partial<Record<QuotaName, number | null>> | undefined,
  defaults: StorageQuotas,
): StorageQuotas {
  return own === undefined ? defaults : forEachQuota((name) => own[name] ?? defaults[name]);
}
