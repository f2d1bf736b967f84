// Records that cannot be read: damaged, or written by a newer version in an unknown format version. Loading one such record is an
// error; in a list it is left out and reported, so that the others are processed.

import type { Read } from '../../state/text/forms.ts';
import { type Db, isUnavailable } from './connection.ts';
import { NotDueError } from './due.ts';

/** A record that cannot be read, or fails on its own, is tried again after this, ms. */
export const RETRY_UNREADABLE_AFTER_MS = 600_000;

/** A record that exists and cannot be used. */
export class UnreadableRecord extends Error {
  /** Its key in Redis. */
  readonly key: string;
  /** `newer`: a newer version can read it. */
  readonly kind: 'newer' | 'broken';
  /** Its format version, if it is newer; else null. */
  readonly form: number | null;
  /** What is wrong with it; never contains its content. */
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

/** The value that was read under `key`. @throws UnreadableRecord */
export function required<T>(key: string, read: Read<T>): T {
  if (read.kind === 'known') return read.value;
  throw new UnreadableRecord(key, read);
}

/** The reply of a command on `key`. @throws UnreadableRecord when the key has another type */
export async function fetched<T>(key: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('WRONGTYPE')) throw error;
    throw new UnreadableRecord(key, { kind: 'broken', reason: 'not of the type it must have' });
  }
}

/** The result of `read`; null when the record cannot be read, which is reported. @throws any other error of `read` */
export function nullIfUnreadable<T>(db: Db, read: () => Promise<T | null>): Promise<T | null> {
  return readOrNull(db, read, () => true);
}

/**
 * As `nullIfUnreadable`, for callers that must not skip a record that a newer version can read.
 * @throws UnreadableRecord of a newer format version
 */
export function nullIfBroken<T>(db: Db, read: () => Promise<T | null>): Promise<T | null> {
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
 * Runs `act` for each item, one after the other. An item that fails on its own is reported and skipped.
 * @param nameOf name of an item in reports: its key in Redis, if it has one.
 * @returns how many failed. @throws an error that concerns all items, such as an outage; the rest is not run then
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
      if (!concernsOneItem(error)) throw error;
      failed += 1;
      reportFailed(db, nameOf(item), error);
    }
  return failed;
}

/** Reports an item that failed on its own. @param name its key in Redis, if it has one. */
export function reportFailed(db: Db, name: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  db.onUnreadable?.(error instanceof UnreadableRecord ? error : { key: name, kind: 'broken', reason });
}

/**
 * Whether an error concerns only the item in question, so that others can go on. An error of Redis itself (unavailable,
 * full, refusing the connection) concerns all of them.
 */
export function concernsOneItem(error: unknown): boolean {
  if (isUnavailable(error) || error instanceof NotDueError) return false;
  if (!(error instanceof Error) || error.name !== 'ReplyError') return true;
  return /^(ERR|WRONGTYPE) /.test(error.message) && !/^ERR (max number|unknown command)/.test(error.message);
}
