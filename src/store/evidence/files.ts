// Where the bytes of evidence lie: in a folder or in an S3 bucket, through flydrive, under names that the
// server made. Bytes on their way in go to a file without a name first, so that an upload that breaks off,
// or a process that dies, leaves nothing. What is read again is held against its SHA-256.

import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rm, stat, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { Disk } from 'flydrive';
import { FSDriver } from 'flydrive/drivers/fs';

/** Between two tries to keep a file, ms. */
const RETRY_PAUSE = 300;

/** The store of files cannot be used now, or has lost or altered a file. */
export class FileStoreError extends Error {
  override readonly name = 'FileStoreError';
}

/** Bytes on their way in, in a file that has no name: it ends when it is closed or the process does. */
export class Incoming {
  readonly #file: FileHandle;
  readonly #hash = createHash('sha256');
  #sha256 = '';
  #bytes = 0;
  #closed = false;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** @param folder where there is room for it; nothing is seen there. */
  static async create(folder: string): Promise<Incoming> {
    const path = join(folder, randomUUID());
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return new Incoming(file);
  }

  /** How many bytes have arrived. */
  get bytes(): number {
    return this.#bytes;
  }

  /** SHA-256 of the bytes, hex; known when they have all arrived. */
  get sha256(): string {
    return this.#sha256;
  }

  /** Takes in all of `content`. @throws what `content` or `check` throws, or the disk. */
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

  /** The bytes from the first on. */
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
      throw new FileStoreError('no room for a file on its way in', { cause: error });
    }
  }
}

interface Place {
  disk: Disk;
  /** Before every key: empty, or ends in a slash. */
  prefix: string;
  /** Folder for bytes on their way in. */
  incoming: string;
  /** How often to try to keep a file. */
  tries: number;
  /** Makes sure that a file outlasts a power cut. */
  settle?(key: string): Promise<void>;
  close?(): void;
}

export class EvidenceFiles {
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  /** A place for bytes on their way in; to be closed by the caller. */
  receive(): Promise<Incoming> {
    return attempt('take in a file', () => Incoming.create(this.#place.incoming));
  }

  /** Keeps what has come in under `key`. When this fails a part may lie there: remove it. @throws FileStoreError */
  keep(key: string, incoming: Incoming): Promise<void> {
    return attempt('keep a file', async () => {
      const options = { contentLength: incoming.bytes, contentType: 'application/octet-stream' };
      for (let left = this.#place.tries; left > 0; left -= 1) {
        const put = this.#place.disk.putStream(this.#at(key), incoming.read(), options);
        if (left === 1) await put;
        else if (await succeeds(put)) break;
      }
      await this.#place.settle?.(key);
    });
  }

  /**
   * The bytes kept under `key`. The last of them are given out only when all together have this SHA-256.
   * @throws FileStoreError when they are not there; the stream fails with one when they are not the same.
   */
  async open(key: string, sha256: string): Promise<Readable> {
    const stored = await attempt('read a file', () => this.#place.disk.getStream(this.#at(key)));
    const chunks = verified(stored, sha256);
    try {
      // With the first bytes in hand it is certain that there is something to answer with.
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
  remove(key: string): Promise<void> {
    return attempt('remove a file', () => this.#place.disk.delete(this.#at(key)));
  }

  /** Removes all files of a folder. Names of folders are ids of one length: none is the beginning of another. @throws FileStoreError */
  removeAll(folder: string): Promise<void> {
    return attempt('remove files', () => this.#place.disk.deleteAll(this.#at(`${folder}/`)));
  }

  /** Removes what a process left that died in the moment between making an incoming file and taking its name away. */
  async removeStale(olderThan: number): Promise<void> {
    const { incoming } = this.#place;
    // The temporary folder of the system is shared with others and cleaned by it.
    if (incoming === tmpdir()) return;
    for (const name of await readdir(incoming)) {
      const path = join(incoming, name);
      const found = await stat(path).catch(() => null);
      if (found !== null && found.mtimeMs < Date.now() - olderThan) await rm(path, { force: true });
    }
  }

  close(): void {
    this.#place.close?.();
  }

  #at(key: string): string {
    return this.#place.prefix + key;
  }
}

/**
 * Opens the store that EVIDENCE_STORE names.
 * @param location a folder, made when it is not there; or
 *   `s3://bucket/prefix?region=…&endpoint=…&path_style=true`. Credentials come from where the AWS SDK looks for them.
 * @throws Error that says what is wrong with it.
 */
export async function openEvidenceFiles(location: string): Promise<EvidenceFiles> {
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(location);
  if (!isUrl) return new EvidenceFiles(await folder(resolve(location)));
  if (!location.startsWith('s3://')) throw new Error('EVIDENCE_STORE must be a folder or an s3:// URL');
  const { openBucket } = await import('./bucket.ts');
  return new EvidenceFiles({ ...(await openBucket(location)), incoming: tmpdir(), tries: 3 });
}

async function folder(root: string): Promise<Place> {
  const incoming = join(root, '.incoming');
  // Evidence is for nobody else on this machine.
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  // A folder that takes no file is found now and not by the first upload.
  await (await Incoming.create(incoming)).close();
  return {
    disk: new Disk(new FSDriver({ location: root, visibility: 'private' })),
    prefix: '',
    incoming,
    tries: 1,
    async settle(key) {
      for (const path of [join(root, key), dirname(join(root, key))]) {
        const file = await open(path, 'r');
        await file.sync().finally(() => file.close());
      }
    },
  };
}

/** Gives out `chunks` one behind, so that the last is held back until the whole has been checked. */
async function* verified(chunks: AsyncIterable<Buffer>, sha256: string): AsyncGenerator<Buffer, void> {
  const hash = createHash('sha256');
  let held: Buffer | null = null;
  for await (const chunk of chunks) {
    hash.update(chunk);
    if (held !== null) yield held;
    held = chunk;
  }
  if (hash.digest('hex') !== sha256) throw new FileStoreError('a file is not what was handed in');
  if (held !== null) yield held;
}

async function* resumed(first: IteratorResult<Buffer, void>, rest: AsyncGenerator<Buffer, void>) {
  if (first.done) return;
  yield first.value;
  yield* rest;
}

/** Whether it does. The pause after a failure is for whoever tries again. */
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
