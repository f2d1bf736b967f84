// The archive as the rest of the store sees it: finished tasks that are no longer in Redis but in the file store. What Redis
// keeps of them is one member of the org's index `archived`.

/** Fields of a hash and their values, one after the other. */
export type Fields = (string | Buffer)[];

/** What was stored in Redis about a finished task, key by key. */
export interface ArchivedTask {
  task_id: string;
  /** The task of which this is a copy; its own id for other tasks. */
  family: string;
  /** The fields of its record. */
  task: Fields;
  deliveries: Fields;
  ordering: Fields;
  evidence: Fields;
  /** The messages as JSON, oldest first. */
  messages: Buffer[];
  /** When it is to be purged, ms; null for a copy, which is purged with its task. */
  purge_at: number | null;
}

/** Where archived tasks are read and brought back from. Only processes with access to the file store have one. */
export interface TaskArchive {
  /** An archived task; null when there is none with this id. @throws FileStoreError, UnopenableError, UnreadableRecord */
  read(orgId: string, taskId: string): Promise<ArchivedTask | null>;
  /**
   * Brings an archived task back into Redis, with its copies, as it was before.
   * @returns false when it is not archived. @throws as `read`
   */
  restore(orgId: string, taskId: string): Promise<boolean>;
}

/** Name of the index of archived tasks; its members are from `archivedMember`. */
export const ARCHIVED = 'archived';

/** What Redis keeps of an archived task. */
export interface ArchivedEntry {
  member: string;
  task_id: string;
  /** The segment that holds it. */
  segment: string;
  /** The workers who were ever assigned the task, for other tasks that exclude them. */
  workers: readonly string[];
}

/** Member of the index of archived tasks, which sorts by the id of the task. */
export function archivedMember(taskId: string, segment: string, workers: readonly string[]): string {
  return `${taskId}:${segment}:${workers.join(' ')}`;
}

/** Reads a member that `archivedMember` wrote. */
export function readArchivedMember(member: string): ArchivedEntry {
  const [task_id = '', segment = '', workers = ''] = member.split(':');
  return { member, task_id, segment, workers: workers.split(' ').filter((one) => one !== '') };
}

/** The value of a field; null when it is not there. */
export function fieldIn(fields: Fields, name: string): Buffer | null {
  for (let at = 0; at + 1 < fields.length; at += 2)
    if (String(fields[at]) === name) return toBuffer(fields[at + 1] ?? '');
  return null;
}

/** The fields as pairs. */
export function pairsOf(fields: Fields): [name: string, value: Buffer][] {
  return Array.from({ length: fields.length / 2 }, (_, at) => [
    String(fields[2 * at]),
    toBuffer(fields[2 * at + 1] ?? ''),
  ]);
}

function toBuffer(value: string | Buffer): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : value;
}
