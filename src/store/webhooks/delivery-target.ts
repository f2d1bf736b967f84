// The target of a delivery: which event of which task goes to which receiver. Its names in Redis (member of the
// `pending-deliveries` set, hash field, list members) and its id follow from that.

import { hash } from 'node:crypto';
import { listMember } from '../redis/lists.ts';
import type { DeliveryStatus } from './delivery-record.ts';

/**
 * An event of a task and its receiver: the endpoint, or without one the task's own callback URL. Sequence 0 is a message
 * that belongs to no task; `task_id` then holds the message's own id.
 */
export interface DeliveryTarget {
  org_id: string;
  task_id: string;
  sequence: number;
  endpoint_id?: string | undefined;
}

/**
 * Score of a delivery in the `pending-deliveries` set while it is parked in the backlog of its receiver (`backlog.ts`):
 * a time that never comes.
 */
export const PARKED = 8e15;

/** Whether a score in the `pending-deliveries` set is that of a parked delivery. */
export function isParked(score: number): boolean {
  return score >= PARKED;
}

/** Field of the delivery in the hash of its task's deliveries. */
export function fieldOf({ sequence, endpoint_id }: Omit<DeliveryTarget, 'org_id' | 'task_id'>): string {
  return endpoint_id === undefined ? String(sequence) : `${sequence} ${endpoint_id}`;
}

/** Reads a field that `fieldOf` wrote. */
export function readField(field: string): { sequence: number; endpoint_id: string | undefined } {
  const [sequence, endpoint_id] = field.split(' ');
  return { sequence: Number(sequence), endpoint_id };
}

/** Member of the `pending-deliveries` set. */
export function pendingMember(target: DeliveryTarget): string {
  return `${target.org_id} ${target.task_id} ${fieldOf(target)}`;
}

/** Reads a member that `pendingMember` wrote. */
export function readPendingMember(member: string): DeliveryTarget {
  const [org_id = '', task_id = '', sequence, endpoint_id] = member.split(' ');
  return { org_id, task_id, sequence: Number(sequence), ...(endpoint_id !== undefined && { endpoint_id }) };
}

/** Digits of a sequence in list members. */
const DIGITS = 6;

/**
 * Member of lists, which are sorted by the time of the event and then by sequence. The sequence has leading zeros
 * because members sort as text. @param at time of the event, ms.
 */
export function listedMember(target: DeliveryTarget, at: number): string {
  const [sequence = '', ...endpoint] = fieldOf(target).split(' ');
  return listMember(at, [target.task_id, sequence.padStart(DIGITS, '0'), ...endpoint].join(' '));
}

/** Reads the part of a list member behind the time. */
export function readListed(org_id: string, id: string): DeliveryTarget {
  return readPendingMember(`${org_id} ${id}`);
}

/**
 * The id of a delivery: a UUID in the form of version 7 that is derived from its target, so no index of ids is needed.
 * It holds the creation time of the task, twelve bits of the sequence and a hash of all.
 */
export function deliveryId({ task_id, sequence, endpoint_id }: Omit<DeliveryTarget, 'org_id'>): string {
  const digest = hash('sha256', `${task_id} ${fieldOf({ sequence, endpoint_id })}`, 'buffer');
  digest[0] = 0x80 | ((digest[0] ?? 0) & 0x3f);
  const tail = digest.toString('hex', 0, 8);
  const middle = (0x7000 | (sequence & 0xfff)).toString(16);
  return `${task_id.slice(0, 13)}-${middle}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}

/** Member of the partition's list of exhausted deliveries. @param at time of the event, ms. */
export function deadMember(target: DeliveryTarget, at: number): string {
  return `${target.org_id} ${listedMember(target, at)}`;
}

/** Name of the index of an endpoint's deliveries with a status. */
export function deliveriesIndex(endpointId: string, status: DeliveryStatus): string {
  return `deliveries:${endpointId}:${status}`;
}

/** Prefix and suffix of its member of the `pending-deliveries` set, around the sequence. */
export function aroundSequence({ org_id, task_id, endpoint_id }: DeliveryTarget): [string, string] {
  return [`${org_id} ${task_id} `, endpoint_id === undefined ? '' : ` ${endpoint_id}`];
}
