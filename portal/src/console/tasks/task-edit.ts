// The fields of a task that can be changed, as text in a form, and the patch that a changed form means.

import type { Task, TaskUpdate, Urgency } from '@biolayer/sdk';

export interface EditForm {
  urgency: Urgency;
  /** Local date and time; empty for none. */
  deadline: string;
  /** Seconds; empty for none. */
  latency: string;
  pool: string;
  skills: string;
  certifications: string;
  trust: string;
  rating: string;
  /** Lines of `name = value`. */
  metadata: string;
}

export function formOf({ sla, requirements = {}, metadata = {} }: Task): EditForm {
  return {
    urgency: sla.urgency,
    deadline: sla.deadline === undefined ? '' : localTime(sla.deadline),
    latency: String(sla.target_latency_seconds ?? ''),
    pool: requirements.worker_pool_id ?? '',
    skills: requirements.skills?.join(', ') ?? '',
    certifications: requirements.certifications?.join(', ') ?? '',
    trust: String(requirements.trust_level ?? ''),
    rating: String(requirements.min_rating ?? ''),
    metadata: Object.entries(metadata)
      .map(([name, value]) => `${name} = ${value}`)
      .join('\n'),
  };
}

/** RFC 3339 as the value of a `datetime-local` field, to the second. */
function localTime(at: string): string {
  const time = new Date(at);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export type EditFault = 'deadline' | 'latency' | 'trust' | 'rating' | 'metadata';

/** The first field that cannot be sent; null for none. @param now ms */
export function faultOf(before: EditForm, after: EditForm, now: number): EditFault | null {
  const isPast = after.deadline !== '' && new Date(after.deadline).getTime() <= now;
  if (after.deadline !== before.deadline && isPast) return 'deadline';
  for (const name of ['latency', 'trust', 'rating'] as const)
    if (after[name] !== '' && !Number.isFinite(Number(after[name].replace(',', '.')))) return name;
  return metadataOf(after.metadata) === null ? 'metadata' : null;
}

/** The patch (JSON merge patch) for what was changed; null when nothing was. */
export function patchOf(before: EditForm, after: EditForm): TaskUpdate | null {
  const is = (name: keyof EditForm) => before[name] !== after[name];
  const number = (text: string) => (text === '' ? null : Number(text.replace(',', '.')));
  const list = (text: string) => {
    const words = text.split(',').map((one) => one.trim());
    const known = words.filter((one) => one !== '');
    return known.length === 0 ? null : known;
  };
  const sla = {
    ...(is('urgency') && { urgency: after.urgency }),
    ...(is('deadline') && {
      deadline: after.deadline === '' ? null : new Date(after.deadline).toISOString(),
    }),
    ...(is('latency') && { target_latency_seconds: number(after.latency) }),
  };
  const requirements = {
    ...(is('pool') && { worker_pool_id: after.pool === '' ? null : after.pool }),
    ...(is('skills') && { skills: list(after.skills) }),
    ...(is('certifications') && { certifications: list(after.certifications) }),
    ...(is('trust') && { trust_level: number(after.trust) }),
    ...(is('rating') && { min_rating: number(after.rating) }),
  };
  const patch: TaskUpdate = {
    ...(Object.keys(sla).length > 0 && { sla }),
    ...(Object.keys(requirements).length > 0 && { requirements }),
    ...(is('metadata') && { metadata: metadataPatch(before.metadata, after.metadata) }),
  };
  return Object.keys(patch).length === 0 ? null : patch;
}

/** The metadata of a text; null when a line has no `=`. */
function metadataOf(text: string): Record<string, string> | null {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const pairs = lines.map((line) => {
    const at = line.indexOf('=');
    return at <= 0 ? null : ([line.slice(0, at).trim(), line.slice(at + 1).trim()] as const);
  });
  return pairs.some((one) => one === null) ? null : Object.fromEntries(pairs.filter((one) => one !== null));
}

function metadataPatch(before: string, after: string): Record<string, string | null> {
  const [old, next] = [metadataOf(before) ?? {}, metadataOf(after) ?? {}];
  const removed = Object.keys(old).filter((name) => !(name in next));
  return { ...Object.fromEntries(removed.map((name) => [name, null])), ...next };
}
