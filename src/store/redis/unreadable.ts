// Records that cannot be read: damaged, or written by a newer process in a form that is not known here. One that is
// asked for by itself is an error; among many it is left out and reported, so that the others go on.

import type { Read } from '../../state/text/forms.ts';
import { type Db, isUnavailable } from './connection.ts';
import { NotDueError } from './due.ts';

/** What cannot be read, or fails by itself, is looked at again after this, ms. */
export const PUT_OFF = 600_000;

/** A record that is there and cannot be used. */
export class UnreadableRecord extends Error {
  /** Its key in Redis. */
  readonly key: string;
  /** `newer`: a newer process can read it. */
  readonly kind: 'newer' | 'broken';
  /** Its form, where it is newer. */
  readonly form: number | null;
  /** What is wrong with it; shows nothing of what it holds. */
  readonly reason: string;

  constructor(key: string, read: Exclude<Read<unknown>, { kind: 'known' }>) {
    const reason = read.kind === 'newer' ? `form ${read.form} is newer than this process` : read.reason;
    super(`${key} cannot be read: ${reason}`);
    this.name = 'UnreadableRecord';
    this.key = key;
    this.kind = read.kind;
    this.form = read.kind === 'newer' ? read.form : null;
    this.reason = reason;
  }
}

/** The value of what was read under `key`. @throws UnreadableRecord */
export function required<T>(key: string, read: Read<T>): T {
  if (read.kind === 'known') return read.value;
  throw new UnreadableRecord(key, read);
}

/** What a command on `key` answers. @throws UnreadableRecord when there lies something of another type */
export async function fetched<T>(key: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('WRONGTYPE')) throw error;
    throw new UnreadableRecord(key, { kind: 'broken', reason: 'not of the type it must have' });
  }
}

/** What `read` gives; null when the record cannot be read, which is reported. @throws what else `read` throws */
export function readableOrNull<T>(db: Db, read: () => Promise<T | null>): Promise<T | null> {
  return readOrNull(db, read, () => true);
}

/**
 * As `readableOrNull`, where passing over a record that a newer process can read would lose something.
 * @throws UnreadableRecord of a newer form
 */
export function intactOrNull<T>(db: Db, read: () => Promise<T | null>): Promise<T | null> {
  return readOrNull(db, read, ({ kind }) => kind === 'broken');
}

async function readOrNull<T>(
  db: Db,
  read: () => Promise<T | null>,
  isPassedOver: (record: UnreadableRecord) => boolean,
): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof UnreadableRecord) || !isPassedOver(error)) throw error;
    db.onUnreadable?.(error);
    return null;
  }
}

/**
 * Does `act` for each, one after the other. One that fails by itself is reported and passed over.
 * @param nameOf what an item is told of by: its key in Redis, where it has one.
 * @returns how many failed. @throws what is no item's fault, such as Redis being away; the rest is not done then
 */
export async function forEachIntact<T>(
  db: Db,
  items: Iterable<T>,
  nameOf: (item: T) => string,
  act: (item: T) => Promise<unknown>,
): Promise<number> {
  let failed = 0;
  for (const item of items)
    try {
      await act(item);
    } catch (error) {
      if (!isOfItem(error)) throw error;
      failed += 1;
      reportFailed(db, nameOf(item), error);
    }
  return failed;
}

/** Reports what went wrong with something by itself. @param name its key in Redis, where it has one. */
export function reportFailed(db: Db, name: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  db.onUnreadable?.(error instanceof UnreadableRecord ? error : { key: name, kind: 'broken', reason });
}

/**
 * Whether an error comes of what was worked on, so that others can go on; of Redis itself, which is away, full or
 * refuses the connection, it concerns all alike.
 */
export function isOfItem(error: unknown): boolean {
  if (isUnavailable(error) || error instanceof NotDueError) return false;
  if (!(error instanceof Error) || error.name !== 'ReplyError') return true;
  return /^(ERR|WRONGTYPE) /.test(error.message) && !/^ERR (max number|unknown command)/.test(error.message);
}
