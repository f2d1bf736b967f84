// Where a delivery stands: which event of which task is owed to whom. From that follow its member in the
// `owed` set, its field among the task's deliveries, its places in lists, and its id.

import { hash } from 'node:crypto';
import { listMember } from '../redis/lists.ts';

/**
 * A delivery: an event of a task, owed to the task's own callback URL, or to a registered endpoint where one
 * is named. Sequence 0 is a message that belongs to no task, whose own id stands in place of the task's.
 */
export interface DeliveryTarget {
  org_id: string;
  task_id: string;
  sequence: number;
  endpoint_id?: string | undefined;
}

/**
 * Its time in the `owed` set while it waits for its receiver in the list of those who do (`waiting.ts`): a time
 * that never comes, by its own clock or anybody's.
 */
export const PARKED = 8e15;

/** Its field among the deliveries of its task. */
export function fieldOf({ sequence, endpoint_id }: Omit<DeliveryTarget, 'org_id' | 'task_id'>): string {
  return endpoint_id === undefined ? String(sequence) : `${sequence} ${endpoint_id}`;
}

/** What a field says. */
export function readField(field: string): { sequence: number; endpoint_id: string | undefined } {
  const [sequence, endpoint_id] = field.split(' ');
  return { sequence: Number(sequence), endpoint_id };
}

/** Its member among all that are owed. */
export function pendingMember(owed: DeliveryTarget): string {
  return `${owed.org_id} ${owed.task_id} ${fieldOf(owed)}`;
}

/** What a member of the `owed` set says. */
export function readPendingMember(member: string): DeliveryTarget {
  const [org_id = '', task_id = '', sequence, endpoint_id] = member.split(' ');
  return { org_id, task_id, sequence: Number(sequence), ...(endpoint_id !== undefined && { endpoint_id }) };
}

/** Digits of a sequence in lists. */
const DIGITS = 6;

/**
 * Its member in lists, which go by the time of the event, ms; those of one moment by their sequence, which is written
 * with leading zeros since lists sort as text.
 */
export function listedMember(owed: DeliveryTarget, at: number): string {
  const [sequence = '', ...endpoint] = fieldOf(owed).split(' ');
  return listMember(at, [owed.task_id, sequence.padStart(DIGITS, '0'), ...endpoint].join(' '));
}

/** What a member of a list says. */
export function readListed(org_id: string, id: string): DeliveryTarget {
  return readPendingMember(`${org_id} ${id}`);
}

/**
 * The id of a delivery: a UUID in the form of version 7 that follows from what it is, so that no index of ids
 * is needed. It has the time of its task's making, twelve bits of the sequence and a hash of all.
 */
export function deliveryId({ task_id, sequence, endpoint_id }: Omit<DeliveryTarget, 'org_id'>): string {
  const digest = hash('sha256', `${task_id} ${fieldOf({ sequence, endpoint_id })}`, 'buffer');
  digest[0] = 0x80 | ((digest[0] ?? 0) & 0x3f);
  const tail = digest.toString('hex', 0, 8);
  const middle = (0x7000 | (sequence & 0xfff)).toString(16);
  return `${task_id.slice(0, 13)}-${middle}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}
