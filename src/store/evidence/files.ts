// The file store, which holds the bytes of evidence: a folder or an S3 bucket, through flydrive, under paths that the
// server generates. An upload is received into an unlinked temporary file first, so an interrupted upload or a crashed
// process leaves nothing behind. Files are checked against their SHA-256 when they are read.

import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rm, stat, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { Disk } from 'flydrive';
import { FSDriver } from 'flydrive/drivers/fs';

/** Pause between two attempts to store a file, ms. */
const RETRY_PAUSE = 300;

/** The path of a file in the file store. */
export function evidencePath(orgId: string, taskId: string, evidenceId: string): string {
  return `${orgId}/${taskId}/${evidenceId}`;
}

/** The path of all files of a task. */
export function taskFilesPath(orgId: string, taskId: string): string {
  return `${orgId}/${taskId}`;
}

/** The file store is unavailable, or has lost or altered a file. */
export class FileStoreError extends Error {
  override readonly name = 'FileStoreError';
  /** The store answers, and the file is not there or was altered: a further attempt is of no use. */
  readonly isLost: boolean;

  constructor(message: string, { isLost = false, ...options }: ErrorOptions & { isLost?: boolean } = {}) {
    super(message, options);
    this.isLost = isLost;
  }
}

/** An upload, received into an unlinked temporary file, which disappears when it is closed or the process ends. */
export class Incoming {
  readonly #file: FileHandle;
  readonly #hash = createHash('sha256');
  #sha256 = '';
  #bytes = 0;
  #closed = false;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** @param folder the folder whose disk takes the bytes; no file remains visible in it. */
  static async create(folder: string): Promise<Incoming> {
    const path = join(folder, randomUUID());
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return new Incoming(file);
  }

  /** Number of bytes received. */
  get bytes(): number {
    return this.#bytes;
  }

  /** SHA-256 of the bytes, hex; empty until `fill` has resolved. */
  get sha256(): string {
    return this.#sha256;
  }

  /**
   * Receives all of `content`.
   * @param check called with the number of bytes received so far; throws to reject the upload.
   * @throws the error of `content` or `check`; FileStoreError when the disk fails.
   */
  async fill(content: Readable, check: (bytes: number) => void): Promise<void> {
    await pipeline(content, async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        this.#bytes += chunk.length;
        check(this.#bytes);
        this.#hash.update(chunk);
        await this.#write(chunk);
      }
    });
    this.#sha256 = this.#hash.digest('hex');
  }

  /** A stream of all bytes; may be called again for another attempt. */
  read(): Readable {
    return this.#file.createReadStream({ start: 0, autoClose: false });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }

  async #write(chunk: Buffer): Promise<void> {
    try {
      await this.#file.writeFile(chunk);
    } catch (error) {
      throw new FileStoreError('could not write an incoming file', { cause: error });
    }
  }
}

/** Where files are stored, and how. */
interface Backend {
  disk: Disk;
  /** Prefix of every path: empty, or ends in a slash. */
  prefix: string;
  /** Folder for incoming files. */
  incoming: string;
  /** Number of attempts to store a file. */
  attempts: number;
  /** Flushes a stored file to disk, so that it survives a power cut. */
  flush?(path: string): Promise<void>;
  close?(): void;
}

export class EvidenceFiles {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** A new incoming file, which the caller closes. @throws FileStoreError */
  receive(): Promise<Incoming> {
    return attempt('create an incoming file', () => Incoming.create(this.#backend.incoming));
  }

  /**
   * Stores an incoming file under `path`.
   * @throws FileStoreError; a part of the file may then exist, which the caller removes.
   */
  keep(path: string, incoming: Incoming): Promise<void> {
    return attempt('store a file', async () => {
      const options = { contentLength: incoming.bytes, contentType: 'application/octet-stream' };
      for (let left = this.#backend.attempts; left > 0; left -= 1) {
        const put = this.#backend.disk.putStream(this.#at(path), incoming.read(), options);
        if (left === 1) await put;
        else if (await succeeds(put)) break;
      }
      await this.#backend.flush?.(path);
    });
  }

  /**
   * A stream of the file at `path`. The last chunk is held back until all bytes have this SHA-256.
   * @throws FileStoreError when there is no such file; the stream fails with one when the SHA-256 differs.
   */
  async open(path: string, sha256: string): Promise<Readable> {
    try {
      return await this.#open(path, sha256);
    } catch (error) {
      if (error instanceof FileStoreError && !error.isLost && (await this.#isMissing(path)))
        throw new FileStoreError('a file is not in the file store', { cause: error, isLost: true });
      throw error;
    }
  }

  async #open(path: string, sha256: string): Promise<Readable> {
    const stored = await attempt('read a file', () => this.#backend.disk.getStream(this.#at(path)));
    const chunks = verified(stored, sha256);
    try {
      // Waits for the first chunk, so that a missing file fails here and not after the response has started.
      const first = await attempt('read a file', () => chunks.next());
      const content = Readable.from(resumed(first, chunks), { objectMode: false });
      content.once('close', () => stored.destroy());
      return content;
    } catch (error) {
      stored.destroy();
      throw error;
    }
  }

  /** Removes one file; does nothing when there is none. @throws FileStoreError */
  remove(path: string): Promise<void> {
    return attempt('remove a file', () => this.#backend.disk.delete(this.#at(path)));
  }

  /** Removes all files below a path. @throws FileStoreError */
  removeAll(path: string): Promise<void> {
    return attempt('remove files', () => this.#backend.disk.deleteAll(this.#at(`${path}/`)));
  }

  /**
   * Removes incoming files of processes that died between creating and unlinking them.
   * @param olderThan minimum age, ms.
   */
  async removeStale(olderThan: number): Promise<void> {
    const { incoming } = this.#backend;
    // The system cleans its temporary folder itself, and other programs use it.
    if (incoming === tmpdir()) return;
    for (const name of await readdir(incoming)) {
      const path = join(incoming, name);
      const found = await stat(path).catch(() => null);
      if (found !== null && found.mtimeMs < Date.now() - olderThan) await rm(path, { force: true });
    }
  }

  close(): void {
    this.#backend.close?.();
  }

  /** Whether the store answers that there is no such file; false when it does not answer. */
  #isMissing(path: string): Promise<boolean> {
    return this.#backend.disk.exists(this.#at(path)).then(
      (exists) => !exists,
      () => false,
    );
  }

  #at(path: string): string {
    return this.#backend.prefix + path;
  }
}

/**
 * Opens the file store that EVIDENCE_STORE names.
 * @param location a folder, created if missing; or `s3://bucket/prefix?region=…&endpoint=…&path_style=true`, with
 *   credentials from the environment or files that the AWS SDK reads.
 * @throws Error with what is wrong with the location.
 */
export async function openEvidenceFiles(location: string): Promise<EvidenceFiles> {
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(location);
  if (!isUrl) return new EvidenceFiles(await folder(resolve(location)));
  if (!location.startsWith('s3://')) throw new Error('EVIDENCE_STORE must be a folder or an s3:// URL');
  const { openBucket } = await import('./bucket.ts');
  return new EvidenceFiles({ ...(await openBucket(location)), incoming: tmpdir(), attempts: 3 });
}

async function folder(root: string): Promise<Backend> {
  const incoming = join(root, '.incoming');
  // Other users of the machine must not read evidence.
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  // Fails now, and not in the first upload, when the folder is not writable.
  await (await Incoming.create(incoming)).close();
  return {
    disk: new Disk(new FSDriver({ location: root, visibility: 'private' })),
    prefix: '',
    incoming,
    attempts: 1,
    async flush(path) {
      for (const one of [join(root, path), dirname(join(root, path))]) {
        const file = await open(one, 'r');
        await file.sync().finally(() => file.close());
      }
    },
  };
}

/** Yields each chunk when the next has arrived, so that the last one is held back until the whole has been checked. */
async function* verified(chunks: AsyncIterable<Buffer>, sha256: string): AsyncGenerator<Buffer, void> {
  const hash = createHash('sha256');
  let held: Buffer | null = null;
  for await (const chunk of chunks) {
    hash.update(chunk);
    if (held !== null) yield held;
    held = chunk;
  }
  if (hash.digest('hex') !== sha256)
    throw new FileStoreError('a stored file differs from its SHA-256', { isLost: true });
  if (held !== null) yield held;
}

async function* resumed(first: IteratorResult<Buffer, void>, rest: AsyncGenerator<Buffer, void>) {
  if (first.done) return;
  yield first.value;
  yield* rest;
}

/** Whether the action succeeds; after a failure it resolves only after the pause before the next attempt. */
async function succeeds(act: Promise<void>): Promise<boolean> {
  try {
    await act;
    return true;
  } catch {
    await setTimeout(RETRY_PAUSE);
    return false;
  }
}

async function attempt<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof FileStoreError) throw error;
    throw new FileStoreError(`could not ${what}`, { cause: error });
  }
}
